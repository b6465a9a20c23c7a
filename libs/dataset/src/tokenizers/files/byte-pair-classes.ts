import type { JsonObject, JsonPart } from '../json.js';
import {
  configuredAffixes,
  tokenOr,
  type AffixNames,
  type TokenDefaults,
} from './class-options.js';

/** How a class of transformers reads vocab.json and merges.txt, which are of bytes. */
export interface BytePairClass {
  readonly kind: 'byte pairs';
  readonly tokens: TokenDefaults;
  readonly affixes: (config: JsonPart) => AffixNames;
  /** What the model has besides vocabulary and merges. */
  readonly modelParts: (config: JsonPart) => JsonObject;
  readonly textParts: (config: JsonPart) => JsonObject;
}

const endOfText = '<|endoftext|>';
const none: AffixNames = { prefix: [], suffix: [] };

function byteLevel(config: JsonPart, use_regex: boolean): JsonObject {
  const add_prefix_space = config.get('add_prefix_space').flagOr(false);
  return { type: 'ByteLevel', add_prefix_space, trim_offsets: true, use_regex };
}

const decoder: JsonObject = { type: 'ByteLevel' };

const gpt2: BytePairClass = {
  kind: 'byte pairs',
  tokens: { unk_token: endOfText, bos_token: endOfText, eos_token: endOfText },
  affixes: (config) => ({ ...configuredAffixes(config, false), suffix: [] }),
  modelParts: () => ({}),
  textParts: (config) => ({
    normalizer: null,
    pre_tokenizer: byteLevel(config, true),
    decoder,
  }),
};

/** Words, digits one by one, signs with the line ends after them, and white space. */
const qwenPattern =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" +
  '| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

const qwen2: BytePairClass = {
  kind: 'byte pairs',
  tokens: { unk_token: endOfText, eos_token: endOfText, pad_token: endOfText },
  affixes: () => none,
  modelParts: () => ({}),
  textParts: (config) => ({
    normalizer: { type: 'NFC' },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: qwenPattern }, behavior: 'Isolated', invert: false },
        byteLevel(config, false),
      ],
    },
    decoder,
  }),
};

/** Its own special tokens, endings of English, words, digits one by one, and signs. */
const clipPattern =
  "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d" +
  '|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+';

/** Ends of words are marked, white space is none of any token. */
export const clip: BytePairClass = {
  kind: 'byte pairs',
  tokens: {
    unk_token: endOfText,
    bos_token: '<|startoftext|>',
    eos_token: endOfText,
    pad_token: endOfText,
  },
  affixes: () => ({ prefix: ['bos_token'], suffix: ['eos_token'] }),
  modelParts: (config) => ({
    unk_token: tokenOr(config.get('unk_token'), endOfText),
    continuing_subword_prefix: '',
    end_of_word_suffix: '</w>',
    fuse_unk: false,
  }),
  textParts: () => ({
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'NFC' },
        { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' },
        { type: 'Lowercase' },
      ],
    },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: clipPattern }, behavior: 'Removed', invert: true },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        decoder,
        { type: 'Replace', pattern: { String: '</w>' }, content: ' ' },
        { type: 'Strip', content: ' ', start: 0, stop: 1 },
      ],
    },
  }),
};

/** By the name of the class, without `Fast`. */
export const bytePairClasses: ReadonlyMap<string, BytePairClass> = new Map([
  ['GPT2Tokenizer', gpt2],
  ['CodeGenTokenizer', gpt2],
  ['Qwen2Tokenizer', qwen2],
  ['CLIPTokenizer', clip],
]);
