import type { JsonObject, JsonPart } from '../json.js';
import { configuredAffixes, type AffixNames, type TokenDefaults } from './class-options.js';

/** How a class of transformers reads vocab.json and merges.txt, which are of bytes. */
export interface BytePairClass {
  readonly kind: 'byte pairs';
  readonly tokens: TokenDefaults;
  readonly affixes: (config: JsonPart) => AffixNames;
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

/** By the name of the class, without `Fast`. */
export const bytePairClasses: ReadonlyMap<string, BytePairClass> = new Map([
  ['GPT2Tokenizer', gpt2],
  ['CodeGenTokenizer', gpt2],
  ['Qwen2Tokenizer', qwen2],
]);
