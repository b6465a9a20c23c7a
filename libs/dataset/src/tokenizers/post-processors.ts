import { quote } from './errors.js';
import type { JsonPart } from './json.js';
import { stepsOf } from './steps-of.js';

/** What a post-processor puts around a single text. */
export interface Affixes {
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
}

const none: Affixes = { prefix: [], suffix: [] };

/** The `post_processor` of tokenizer.json. @throws TokenizerError */
export function readAffixes(part: JsonPart): Affixes {
  if (part.isAbsent) return none;
  const type = part.get('type').text;
  switch (type) {
    case 'ByteLevel':
      return none;
    case 'BertProcessing':
    case 'RobertaProcessing':
      return { prefix: [pairId(part.get('cls'))], suffix: [pairId(part.get('sep'))] };
    case 'TemplateProcessing':
      return readTemplate(part);
    case 'Sequence':
      return stepsOf(part, 'processors').map(readAffixes).reduce(around, none);
    default:
      return part.get('type').fail(`there is no post-processor ${quote(type)}`);
  }
}

/** Each step puts its tokens around what the steps before it made. */
function around(inner: Affixes, outer: Affixes): Affixes {
  return {
    prefix: [...outer.prefix, ...inner.prefix],
    suffix: [...inner.suffix, ...outer.suffix],
  };
}

function pairId(part: JsonPart): number {
  const [, id] = part.items;
  return id ? id.id : part.fail('must be a token and its id');
}

function readTemplate(part: JsonPart): Affixes {
  const pieces = part.get('single').items;
  const place = pieces.findIndex(isText);
  if (place < 0 || pieces.filter(isText).length > 1)
    return part.get('single').fail('must have the text in it once');
  const ids = (piece: JsonPart): readonly number[] => specialIds(piece, part.get('special_tokens'));
  return {
    prefix: pieces.slice(0, place).flatMap(ids),
    suffix: pieces.slice(place + 1).flatMap(ids),
  };
}

function isText(piece: JsonPart): boolean {
  return !piece.get('Sequence').isAbsent;
}

function specialIds(piece: JsonPart, tokens: JsonPart): readonly number[] {
  const name = piece.get('SpecialToken').get('id');
  const token = tokens.get(name.text);
  if (token.isAbsent) name.fail(`${quote(name.text)} is not among the special_tokens`);
  return token.get('ids').items.map(({ id }) => id);
}
