import { encodeCharacterMap } from './character-map.js';
import type { Variant } from './compare.js';
import type { JsonObject } from './packages.js';
import { tokenTexts, withTokens } from './real-variants.js';
import { smallNormalizers, smallPreTokenizers } from './small-parts.js';
import { createTexts } from './texts.js';

function definition(parts: JsonObject): JsonObject {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    ...parts,
  };
}

const bytes = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
);

function ids(tokens: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries([...new Set(tokens)].map((token, id) => [token, id]));
}

/** One token a word: shows where words begin and end. */
const words = { type: 'WordLevel', vocab: { '<unk>': 0, the: 1, ' ': 2 }, unk_token: '<unk>' };

/** One token a byte: shows the text after normalization. */
const spelled = {
  type: 'BPE',
  vocab: ids(['<unk>', ...bytes]),
  merges: [],
  byte_fallback: true,
  unk_token: '<unk>',
};

const characters = Array.from("▁abcdefghijklmnopqrstuvwxyz ABTH.,\n'é中文あア한жع1234567890");
const merges = [
  't h',
  'th e',
  '▁ the',
  'i n',
  'in g',
  '▁ ▁',
  '▁▁ ▁▁',
  'a b',
  '1 2',
  'e é',
  ' t',
  ' the',
].filter((merge) => merge.split(' ').every((part) => part !== ''));
const merged = merges.map((merge) => merge.replace(' ', ''));
const vocabulary = ['<unk>', ...characters, ...merged];

function bpe(flags: JsonObject, tokens: readonly string[] = vocabulary): JsonObject {
  return { type: 'BPE', vocab: ids(tokens), merges, unk_token: '<unk>', ...flags };
}

const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true };

const bpes: Readonly<Record<string, JsonObject>> = {
  plain: { model: bpe({}), pre_tokenizer: metaspace, decoder: metaspace },
  'fused unknown': { model: bpe({ fuse_unk: true }), pre_tokenizer: metaspace },
  'without unknown': { model: bpe({ unk_token: null }), pre_tokenizer: metaspace },
  'unknown not in the vocabulary': { model: bpe({ unk_token: '[none]' }) },
  'byte fallback': {
    model: bpe({ byte_fallback: true, fuse_unk: true }, [...vocabulary, ...bytes]),
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
  },
  'some bytes': {
    model: bpe({ byte_fallback: true, fuse_unk: true }, [...vocabulary, ...bytes.slice(0, 0xd0)]),
  },
  'ignored merges': { model: bpe({ ignore_merges: true }), pre_tokenizer: metaspace },
  'end of word': {
    model: {
      type: 'BPE',
      vocab: ids(['<unk>', ...characters, ...characters.map((c) => `${c}</w>`), 'th', 'the</w>']),
      merges: ['t h', 'th e</w>'],
      unk_token: '<unk>',
      end_of_word_suffix: '</w>',
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    decoder: { type: 'BPEDecoder', suffix: '</w>' },
  },
  'subword prefix': {
    model: {
      type: 'BPE',
      vocab: ids(['<unk>', ...characters, ...characters.map((c) => `##${c}`), 'th', 'the']),
      merges: [
        ['t', '##h'],
        ['th', '##e'],
      ],
      unk_token: '<unk>',
      continuing_subword_prefix: '##',
    },
    pre_tokenizer: { type: 'Whitespace' },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  },
};

const pieces: readonly (readonly [string, number])[] = [
  ['<unk>', 0],
  ['▁', -2.5],
  ['▁the', -3.1],
  ['the', -4.2],
  ['th', -5.5],
  ['e', -3.3],
  ['▁a', -3.25],
  ['a', -3.5],
  ['b', -4.5],
  ['ab', -7.9],
  ['ing', -4.1],
  ['in', -4.4],
  ['g', -5],
  ['n', -4.8],
  ['i', -4.7],
  ['s', -3.9],
  ['▁▁', -6],
  ['1', -5],
  ['12', -8],
  ['.', -4],
  ['中文', -9],
  ['中', -9.5],
  ['é', -8],
  ['x²', -9],
];

const unigrams: Readonly<Record<string, JsonObject>> = {
  plain: { unk_id: 0, vocab: pieces },
  'byte fallback': {
    unk_id: 0,
    vocab: [...pieces, ...bytes.map((byte) => [byte, -20])],
    byte_fallback: true,
  },
  'some bytes': {
    unk_id: 0,
    vocab: [...pieces, ...bytes.slice(0, 0xd0).map((byte) => [byte, -20])],
    byte_fallback: true,
  },
  'without unknown': { unk_id: null, vocab: pieces.slice(1) },
  'twice the same': { unk_id: 0, vocab: [...pieces, ['the', -1], ['x', -30]] },
};

const characterMap = encodeCharacterMap(
  new Map(
    [
      ['①', '1'],
      ['½', '1⁄2'],
      ['ﬁ', 'fi'],
      ['\r', ' '],
      ['\r\n', ' '],
      ['\n', ' '],
      ['\t', ' '],
      ['\u0000', ''],
      ['\u0001', ''],
      ['\u00ad', ''],
      ['\ufeff', ''],
      ['\u200d', ''],
      ['e\u0301', 'é'],
      ['A', 'a'],
      ['３', '3'],
      ['㎏', 'kg'],
      ['한', '한'],
    ].filter(([from]) => from !== '\u0000') as [string, string][],
  ),
);

const wordPiece = {
  type: 'WordPiece',
  vocab: ids([
    '[UNK]',
    '[PAD]',
    'the',
    'th',
    '##e',
    '##ing',
    'a',
    'b',
    '##b',
    '##s',
    'é',
    '中',
    '文',
    '.',
    ',',
    '1',
    '##2',
    'hello',
    'world',
  ]),
  unk_token: '[UNK]',
  continuing_subword_prefix: '##',
  max_input_chars_per_word: 12,
};

/** Every part by itself, then models with what they usually stand with. */
export function* smallVariants(): Iterable<Variant> {
  const texts = createTexts(['the', 'ing', 'Ab'], 3);
  for (const [name, pre_tokenizer] of Object.entries(smallPreTokenizers))
    yield {
      name: `words, ${name}`,
      definition: definition({ model: words, pre_tokenizer }),
      texts,
    };
  for (const [name, normalizer] of Object.entries(smallNormalizers)) {
    const parts = { model: spelled, normalizer };
    yield { name: `bytes, ${name}`, definition: definition(parts), texts };
    yield { name: `bytes, ${name}, tokens`, ...withTokens(definition(parts)), texts: tokenTexts() };
  }
  const precompiled = { type: 'Precompiled', precompiled_charsmap: characterMap };
  yield {
    name: 'bytes, precompiled',
    definition: definition({ model: spelled, normalizer: precompiled }),
    texts,
  };
  for (const [name, parts] of Object.entries(bpes))
    yield { name: `bpe, ${name}`, definition: definition(parts), texts };
  for (const [name, parts] of Object.entries(unigrams)) {
    const model = { type: 'Unigram', ...parts };
    const whole = { ...metaspace, split: false };
    for (const [form, pre_tokenizer] of [['split', metaspace] as const, ['whole', whole] as const])
      yield {
        name: `unigram, ${name}, ${form}`,
        definition: definition({ model, pre_tokenizer, normalizer: precompiled }),
        texts,
      };
  }
  yield {
    name: 'wordpiece',
    definition: definition({
      model: wordPiece,
      normalizer: smallNormalizers.bert,
      pre_tokenizer: { type: 'BertPreTokenizer' },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    }),
    texts,
  };
}
