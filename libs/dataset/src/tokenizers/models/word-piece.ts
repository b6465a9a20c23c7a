import { quote } from '../errors.js';
import type { JsonPart } from '../json.js';
import { ModelError, type TakeToken, type TokenModel } from './token-model.js';
import { Vocabulary } from './vocabulary.js';

/** A word is cut into the longest tokens from the left, or is unknown as a whole. */
export function createWordPiece(part: JsonPart): TokenModel {
  const vocabulary = Vocabulary.read(part.get('vocab'));
  const prefix = part.get('continuing_subword_prefix').text;
  const maxCharacters = part.get('max_input_chars_per_word').count;
  const takeUnknown = unknownTaker(vocabulary, part.get('unk_token').text);
  const { longest } = vocabulary;
  return new VocabularyModel(vocabulary, (word, take) => {
    const pieces =
      characterCount(word) > maxCharacters ? undefined : cut(word, { vocabulary, prefix, longest });
    if (!pieces) return takeUnknown(word, take);
    let start = 0;
    for (const [id, end] of pieces) {
      take(id, start, end);
      start = end;
    }
  });
}

/** Whole words only. */
export function createWordLevel(part: JsonPart): TokenModel {
  const vocabulary = Vocabulary.read(part.get('vocab'));
  const takeUnknown = unknownTaker(vocabulary, part.get('unk_token').text);
  return new VocabularyModel(vocabulary, (word, take) => {
    const id = vocabulary.idOf(word);
    if (id === undefined) takeUnknown(word, take);
    else take(id, 0, word.length);
  });
}

class VocabularyModel implements TokenModel {
  constructor(
    private readonly vocabulary: Vocabulary,
    readonly tokenize: (word: string, take: TakeToken) => void,
  ) {}

  get size(): number {
    return this.vocabulary.size;
  }

  get maxId(): number {
    return this.vocabulary.maxId;
  }

  idOf(token: string): number | undefined {
    return this.vocabulary.idOf(token);
  }

  tokenOf(id: number): string | undefined {
    return this.vocabulary.tokenOf(id);
  }
}

function unknownTaker(
  vocabulary: Vocabulary,
  token: string,
): (word: string, take: TakeToken) => void {
  return (word, take) => {
    const id = vocabulary.idOf(token);
    if (id === undefined)
      throw new ModelError(`the unknown token ${quote(token)} is not in the vocabulary`);
    take(id, 0, word.length);
  };
}

function characterCount(word: string): number {
  let count = 0;
  for (const unit of word) count += unit.length > 0 ? 1 : 0;
  return count;
}

interface CutOptions {
  readonly vocabulary: Vocabulary;
  readonly prefix: string;
  /** No token is longer, in units. */
  readonly longest: number;
}

/** Ids and ends of the pieces, undefined where some part is none. */
function cut(
  word: string,
  { vocabulary, prefix, longest }: CutOptions,
): readonly (readonly [number, number])[] | undefined {
  const pieces: [number, number][] = [];
  for (let start = 0; start < word.length;) {
    const lead = start > 0 ? prefix : '';
    let end = Math.min(word.length, start + longest);
    let id: number | undefined;
    while (end > start && (id = vocabulary.idOf(lead + word.slice(start, end))) === undefined)
      end -= 1;
    if (id === undefined) return undefined;
    pieces.push([id, end]);
    start = end;
  }
  return pieces;
}
