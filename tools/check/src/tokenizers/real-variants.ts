import type { Variant } from './compare.js';
import { readRealTokenizer, type JsonObject } from './packages.js';
import type { TokenToAdd } from './reference.js';
import { createTexts } from './texts.js';

/** Added in various ways: with what is a word in them, and with what is white space beside them. */
const tokensToAdd: readonly TokenToAdd[] = [
  added('[[user]]', { special: true }),
  added('word', { single_word: true }),
  added('слово', { single_word: true, normalized: true }),
  added('<left>', { lstrip: true }),
  added('<right>', { rstrip: true, special: true }),
  added('<both>', { lstrip: true, rstrip: true, normalized: true }),
  added('Norm É', { normalized: true }),
  added('<b', {}),
  added('<bo', {}),
];

function added(content: string, flags: Partial<TokenToAdd>): TokenToAdd {
  return {
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: false,
    ...flags,
  };
}

const split = (pattern: JsonObject, behavior: string, invert = false): JsonObject => ({
  type: 'Split',
  pattern,
  behavior,
  invert,
});
const byteLevel = (flags: JsonObject): JsonObject => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: true,
  ...flags,
});
const sequence = (...pretokenizers: readonly JsonObject[]): JsonObject => ({
  type: 'Sequence',
  pretokenizers,
});
const metaspace = (prepend_scheme: string, splits: boolean): JsonObject => ({
  type: 'Metaspace',
  replacement: '▁',
  prepend_scheme,
  split: splits,
});

/** Pre-tokenizers and normalizers that fit a vocabulary of bytes. */
const byteChanges: Readonly<Record<string, JsonObject>> = {
  gpt2: { pre_tokenizer: byteLevel({}) },
  'prefix space': { pre_tokenizer: byteLevel({ add_prefix_space: true }) },
  'no split': { pre_tokenizer: byteLevel({ use_regex: false }) },
  digits: {
    pre_tokenizer: sequence({ type: 'Digits', individual_digits: true }, byteLevel({})),
  },
  'runs of digits': {
    pre_tokenizer: sequence({ type: 'Digits', individual_digits: false }, byteLevel({})),
  },
  'nfkc, lower case': {
    normalizer: { type: 'Sequence', normalizers: [{ type: 'NFKC' }, { type: 'Lowercase' }] },
  },
};

/** The same for a vocabulary of characters. */
const characterChanges: Readonly<Record<string, JsonObject>> = {
  ...Object.fromEntries(
    ['always', 'first', 'never'].flatMap((scheme) =>
      [true, false].map((splits) => [
        `metaspace ${scheme}${splits ? ', split' : ''}`,
        { normalizer: null, pre_tokenizer: metaspace(scheme, splits) },
      ]),
    ),
  ),
  'split with next': {
    normalizer: null,
    pre_tokenizer: sequence(
      split({ Regex: '\\d+|\\s' }, 'MergedWithNext'),
      metaspace('first', true),
    ),
  },
};

/** A real tokenizer as it is, with other parts, and with other added tokens. */
export function* realVariants(name: string): Iterable<Variant> {
  const { definition, config } = readRealTokenizer(name);
  const texts = createTexts(addedContents(definition));
  const { decoder, pre_tokenizer: pre } = definition;
  yield { name, definition, texts };
  // Its own tokens again, as transformers reads them from the configuration.
  yield { name: `${name}, configuration`, ...configured(definition, config), texts };
  const isOfBytes = JSON.stringify([decoder, pre]).includes('ByteLevel');
  const changes = isOfBytes ? byteChanges : characterChanges;
  for (const [change, parts] of Object.entries(changes))
    yield { name: `${name}, ${change}`, definition: { ...definition, ...parts }, texts };
  yield { name: `${name}, tokens`, ...withTokens(definition), texts: tokenTexts() };
}

/** Tokens that stand in tokenizer_config.json only. */
export function withTokens(
  definition: JsonObject,
): Pick<Variant, 'definition' | 'config' | 'toAdd'> {
  const decoder = Object.fromEntries(tokensToAdd.map((token, i) => [String(900_000 + i), token]));
  return { definition, config: { added_tokens_decoder: decoder }, toAdd: tokensToAdd };
}

export function tokenTexts(): readonly string[] {
  return createTexts(
    tokensToAdd.map(({ content }) => content),
    2,
  );
}

function configured(
  definition: JsonObject,
  config: JsonObject,
): Pick<Variant, 'definition' | 'config' | 'toAdd'> {
  const decoder = config.added_tokens_decoder;
  if (typeof decoder !== 'object' || decoder === null) return { definition, config };
  const toAdd = Object.entries(decoder as Readonly<Record<string, TokenToAdd>>)
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, token]) => token);
  return { definition, config: { added_tokens_decoder: decoder }, toAdd };
}

function addedContents(definition: JsonObject): readonly string[] {
  const tokens = Array.isArray(definition.added_tokens) ? definition.added_tokens : [];
  const contents = tokens.map(({ content }: { content: string }) => content);
  const step = Math.max(1, Math.floor(contents.length / 12));
  return contents.filter((_, i) => i % step === 0).slice(0, 16);
}
