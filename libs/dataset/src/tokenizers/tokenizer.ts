import { at } from '@emloc/checked';
import { PatternWorkError } from '@emloc/patterns';

import { readAddedToken } from './added-token.js';
import { AddedVocabulary } from './added-vocabulary.js';
import { GrowthError, type AlignedText } from './aligned-text.js';
import { configuredTokens } from './configured-tokens.js';
import { createDecoder } from './decoders.js';
import { TokenizerError } from './errors.js';
import { ChunkedInt32List } from './int32-list.js';
import { JsonPart, type JsonObject } from './json.js';
import { createModel } from './models/create-model.js';
import { ModelError, type TakeToken, type TokenModel } from './models/token-model.js';
import { createNormalizer } from './normalizers/create-normalizer.js';
import { readAffixes } from './post-processors.js';
import { toBytes } from './pre-tokenizers/byte-level.js';
import { createPreTokenizer, type PreTokenization } from './pre-tokenizers/create-pre-tokenizer.js';
import { cachedLength, WordCache } from './word-cache.js';

/** Tokens of a text. All three are of one length. */
export interface Encoding {
  readonly ids: Int32Array;
  /**
   * The range of the text that each token comes from, in UTF-16 units, before a post-processor
   * would
   * trim it. A token of a part of a character has the whole character; one without a source of its
   * own, a prepended ▁ say, has that of its neighbour.
   */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

export interface Tokenizer {
  /**
   * Tokens of a text, added tokens in it recognised, none added by the post-processor.
   * @throws TokenizerError where a part of it has no token, or where it takes too much to find them
   */
  encode(text: string): Encoding;
  /** Ids that are none of the vocabulary's are left out. */
  decode(ids: ArrayLike<number>, options?: { readonly skipSpecialTokens?: boolean }): string;
  tokenToId(token: string): number | undefined;
  idToToken(id: number): string | undefined;
  /** What the post-processor puts before and after a single text. */
  readonly specialPrefixIds: readonly number[];
  readonly specialSuffixIds: readonly number[];
  /** The highest id, plus one. */
  readonly vocabularySize: number;
}

/** Parsed files of a model folder. */
export interface TokenizerFiles {
  /** tokenizer.json, or what stands for it. */
  readonly definition: JsonObject;
  /** The file that the definition comes from, for messages; by default tokenizer.json. */
  readonly source?: string;
  /** tokenizer_config.json, `{}` where there is none. */
  readonly config: JsonObject;
  /**
   * added_tokens.json and special_tokens_map.json: only looked at where the config lists no
   * tokens.
   */
  readonly addedTokens?: JsonObject;
  readonly specialTokensMap?: JsonObject;
}

/** @throws TokenizerError */
export function createTokenizer(files: TokenizerFiles): Tokenizer {
  const { source = 'tokenizer.json' } = files;
  const definition = new JsonPart(files.definition, source);
  const model = createModel(definition.get('model'));
  const normalizer = createNormalizer(definition.get('normalizer'));
  const added = new AddedVocabulary(model, normalizer);
  const { prefix, suffix } = readAffixes(definition.get('post_processor'));
  addTokens(added, definition.get('added_tokens'), files);
  return new RustLikeTokenizer({
    source,
    model,
    added,
    preTokenization: createPreTokenizer(definition.get('pre_tokenizer')),
    decode: createDecoder(definition.get('decoder')),
    specialPrefixIds: prefix,
    specialSuffixIds: suffix,
  });
}

function addTokens(added: AddedVocabulary, part: JsonPart, files: TokenizerFiles): void {
  const items = part.isAbsent ? [] : part.items;
  const own = items.map(readAddedToken);
  const configured = configuredTokens(
    {
      config: new JsonPart(files.config, 'tokenizer_config.json'),
      specialTokensMap: new JsonPart(files.specialTokensMap ?? {}, 'special_tokens_map.json'),
      addedTokens: new JsonPart(files.addedTokens ?? {}, 'added_tokens.json'),
    },
    own,
  );
  withErrorsOf(part.file, () => {
    added.add(own);
    added.add(configured);
  });
}

interface TokenizerParts {
  readonly source: string;
  readonly model: TokenModel;
  readonly added: AddedVocabulary;
  readonly preTokenization: PreTokenization;
  readonly decode: (tokens: readonly string[]) => string;
  readonly specialPrefixIds: readonly number[];
  readonly specialSuffixIds: readonly number[];
}

class RustLikeTokenizer implements Tokenizer {
  readonly #parts: TokenizerParts;
  readonly #words: WordEncoder;
  readonly specialPrefixIds: readonly number[];
  readonly specialSuffixIds: readonly number[];
  readonly vocabularySize: number;

  constructor(parts: TokenizerParts) {
    this.#parts = parts;
    this.#words = new WordEncoder(parts.model, parts.preTokenization.endsInBytes);
    this.specialPrefixIds = parts.specialPrefixIds;
    this.specialSuffixIds = parts.specialSuffixIds;
    this.vocabularySize = Math.max(parts.model.maxId, parts.added.maxId) + 1;
  }

  encode(text: string): Encoding {
    const { source, added, preTokenization } = this.#parts;
    const ids = new ChunkedInt32List();
    const starts = new ChunkedInt32List();
    const ends = new ChunkedInt32List();
    const take: TakeToken = (id, start, end) => {
      ids.push(id);
      starts.push(start);
      ends.push(end);
    };
    withErrorsOf(source, () =>
      added.split(text, {
        token: take,
        text: (part) =>
          preTokenization.split(part, 0, part.text.length, (piece, start, end) =>
            this.#words.encode(piece, start, end, take),
          ),
      }),
    );
    return { ids: ids.drain(), starts: starts.drain(), ends: ends.drain() };
  }

  decode(ids: ArrayLike<number>, { skipSpecialTokens = false } = {}): string {
    const { added, decode } = this.#parts;
    const tokens: string[] = [];
    for (let i = 0; i < ids.length; i += 1) {
      const token = added.tokenOf(at(ids, i));
      if (token !== undefined && !(skipSpecialTokens && added.isSpecial(token))) tokens.push(token);
    }
    return decode(tokens);
  }

  tokenToId(token: string): number | undefined {
    return this.#parts.added.idOf(token);
  }

  idToToken(id: number): string | undefined {
    return this.#parts.added.tokenOf(id);
  }
}

/** Tokens of the words that the pre-tokenizer leaves. */
class WordEncoder {
  readonly #tokenize: (word: string, take: TakeToken) => void;
  readonly #cache: WordCache;
  readonly #writesBytes: boolean;

  constructor(
    private readonly model: TokenModel,
    private readonly endsInBytes: boolean,
  ) {
    const direct = endsInBytes ? model.tokenizeBytes?.bind(model) : undefined;
    this.#writesBytes = endsInBytes && !direct;
    this.#tokenize = direct ?? model.tokenize.bind(model);
    this.#cache = new WordCache(this.#tokenize);
  }

  encode(text: AlignedText, start: number, end: number, take: TakeToken): void {
    if (start >= end) return;
    if (this.#writesBytes)
      toBytes(text, start, end, (made, from, to) => this.#encode(made, from, to, take));
    else this.#encode(text, start, end, take);
  }

  #encode(text: AlignedText, start: number, end: number, take: TakeToken): void {
    const split = this.endsInBytes ? undefined : this.model.splitLong;
    if (end - start <= cachedLength || !split) return this.#encodePart(text, start, end, take);
    split.call(this.model, text.text.slice(start, end), (from, to) =>
      this.#encodePart(text, start + from, start + to, take),
    );
  }

  #encodePart(text: AlignedText, start: number, end: number, take: TakeToken): void {
    const word = text.text.slice(start, end);
    const takeAligned: TakeToken = (id, from, to) =>
      take(id, text.startOf(start + from), text.endOf(start + to - 1));
    if (word.length <= cachedLength) this.#cache.forEachToken(word, takeAligned);
    else this.#tokenize(word, takeAligned);
  }
}

/** Names the part of the definition that gave up on a text. */
function withErrorsOf(file: string, work: () => void): void {
  try {
    work();
  } catch (cause) {
    if (cause instanceof GrowthError)
      throw new TokenizerError(file, 'normalizer', cause.message, { cause });
    if (cause instanceof PatternWorkError)
      throw new TokenizerError(file, 'a pattern', cause.message, { cause });
    if (cause instanceof ModelError)
      throw new TokenizerError(file, 'model', cause.message, { cause });
    throw cause;
  }
}
