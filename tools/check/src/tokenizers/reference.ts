import { loadRustPackage, type JsonObject } from './packages.js';

/** The part of the Rust package's interface that is used here. */
interface RustPackage {
  readonly Tokenizer: { fromString(definition: string): RustTokenizer };
  readonly AddedToken: new (
    content: string,
    special: boolean,
    options: {
      readonly singleWord: boolean;
      readonly leftStrip: boolean;
      readonly rightStrip: boolean;
      readonly normalized: boolean;
    },
  ) => object;
}

interface RustTokenizer {
  disableTruncation(): void;
  disablePadding(): void;
  addAddedTokens(tokens: readonly object[]): number;
  encode(
    text: string,
    pair: null,
    options: { readonly addSpecialTokens: boolean },
  ): Promise<{ getIds(): number[]; getOffsets(): [number, number][] }>;
  decode(ids: readonly number[], skipSpecialTokens: boolean): Promise<string>;
}

/** As tokenizer_config.json writes an added token, all of it. */
export interface TokenToAdd {
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

export interface ReferenceEncoding {
  readonly ids: readonly number[];
  /** In code points. */
  readonly offsets: readonly (readonly [number, number])[];
}

export interface Reference {
  encode(text: string): Promise<ReferenceEncoding>;
  decode(ids: readonly number[], skipSpecialTokens: boolean): Promise<string>;
}

let rust: RustPackage | undefined;

/** The post-processor is left out: it would trim the offsets. */
export function createReference(
  definition: JsonObject,
  tokens: readonly TokenToAdd[] = [],
): Reference {
  rust ??= loadRustPackage() as RustPackage;
  const { AddedToken } = rust;
  const tokenizer = rust.Tokenizer.fromString(
    JSON.stringify({ ...definition, post_processor: null }),
  );
  tokenizer.disableTruncation();
  tokenizer.disablePadding();
  if (tokens.length > 0)
    tokenizer.addAddedTokens(
      tokens.map(
        ({ content, special, single_word, lstrip, rstrip, normalized }) =>
          new AddedToken(content, special, {
            singleWord: single_word,
            leftStrip: lstrip,
            rightStrip: rstrip,
            normalized,
          }),
      ),
    );
  return {
    encode: async (text) => {
      const encoding = await tokenizer.encode(text, null, { addSpecialTokens: false });
      return { ids: encoding.getIds(), offsets: encoding.getOffsets() };
    },
    decode: (ids, skipSpecialTokens) => tokenizer.decode(ids, skipSpecialTokens),
  };
}
