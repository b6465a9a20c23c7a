import type { JsonObject } from './packages.js';

const behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'];

/** Regular expressions with what real tokenizers and others have in them. */
const patternTexts: readonly string[] = [
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+',
  '[一-龥぀-ゟ゠-ヿ]+',
  ' ?[^(\\s|[.,!?…。，、।۔،])]+',
  '\\p{N}{1,3}(?=(?:\\p{N}{3})*(?:\\P{N}|$))',
  '\\p{Han}+|\\p{Hiragana}+|\\p{Katakana}+',
  '\\w+|[^\\w\\s]+',
  '[\\w]+|\\W',
  '\\d+',
  '\\h+|\\H',
  '\\b',
  '\\B.',
  '^.|.$',
  '\\A.|.\\z|.\\Z',
  '(?<=\\s)\\S+|(?<!\\p{L})\\p{N}',
  '(?<=ab|\\n)\\w',
  '(?>a+)b|(?>\\s+)x|\\s++\\S',
  'a*+|\\p{L}?+1',
  '.{2,3}?',
  '(?:a|ab)(?:c|bcd)?|(?:the)+?',
  '[[:alpha:]]+|[[:punct:]]|[[:^space:]]',
  '[\\p{L}&&[^a-z]]+|[a-z&&[^aeiou]]+',
  '(?i)the|ing|é',
  '(?i:[a-f]+)|(?-i:X)',
  '(?x) a b # text\n | \\  ',
  '(?m:.+)',
  '\\R|\\N+',
  '\\p{^L}+',
  '[^\\S\\n]+|\\n+',
  '\\p{Emoji_Presentation}|\\p{Extended_Pictographic}',
  '(?=\\p{Lu})',
  '()|x',
  '(a|)+b|(?:|c)*',
  '[]a]|[^]a-z]|[a\\-z]',
  '\\x61|\\x{4e2d}|\\u3042|\\141',
];

function splits(): readonly (readonly [string, JsonObject])[] {
  const patterns = [
    ...patternTexts.map((Regex) => ({ Regex })),
    ...[' ', 'the', '.', 'a+', '  '].map((text) => ({ String: text })),
  ];
  return patterns.flatMap((pattern, i) =>
    behaviors
      .flatMap((behavior) =>
        [false, true].map(
          (invert) =>
            [
              `split ${JSON.stringify(pattern).slice(0, 40)} ${behavior}${invert ? ' invert' : ''}`,
              { type: 'Split', pattern, behavior, invert },
            ] as const,
        ),
      )
      .filter((_, form) => i < 2 || form % 3 === i % 3),
  );
}

/** By name. */
export const smallPreTokenizers: Readonly<Record<string, JsonObject>> = {
  whitespace: { type: 'Whitespace' },
  'whitespace split': { type: 'WhitespaceSplit' },
  bert: { type: 'BertPreTokenizer' },
  delimiter: { type: 'CharDelimiterSplit', delimiter: 'e' },
  'wide delimiter': { type: 'CharDelimiterSplit', delimiter: '😀' },
  scripts: { type: 'UnicodeScripts' },
  digits: { type: 'Digits', individual_digits: true },
  'runs of digits': { type: 'Digits', individual_digits: false },
  'fixed length': { type: 'FixedLength', length: 3 },
  'fixed length by default': { type: 'FixedLength' },
  'punctuation by default': { type: 'Punctuation' },
  ...Object.fromEntries(
    behaviors.map((behavior) => [`punctuation ${behavior}`, { type: 'Punctuation', behavior }]),
  ),
  metaspace: { type: 'Metaspace', replacement: '▁' },
  'metaspace of old': {
    type: 'Metaspace',
    replacement: '▁',
    add_prefix_space: true,
    str_rep: '▁',
  },
  'metaspace of old without': {
    type: 'Metaspace',
    replacement: '▁',
    add_prefix_space: false,
    prepend_scheme: 'never',
  },
  'metaspace that contradicts itself': {
    type: 'Metaspace',
    replacement: '▁',
    add_prefix_space: false,
    prepend_scheme: 'always',
  },
  'metaspace of another sign': { type: 'Metaspace', replacement: '_', prepend_scheme: 'first' },
  'metaspace twice': {
    type: 'Sequence',
    pretokenizers: [
      { type: 'WhitespaceSplit' },
      { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
      { type: 'Punctuation' },
    ],
  },
  'bytes, then digits': {
    type: 'Sequence',
    pretokenizers: [
      { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      { type: 'Digits', individual_digits: true },
      { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' },
    ],
  },
  bytes: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true },
  ...Object.fromEntries(splits()),
};

const bert = (flags: JsonObject): JsonObject => ({
  type: 'BertNormalizer',
  clean_text: true,
  handle_chinese_chars: true,
  strip_accents: null,
  lowercase: true,
  ...flags,
});

const replace = (pattern: JsonObject, content: string): JsonObject => ({
  type: 'Replace',
  pattern,
  content,
});

const sequence = (...normalizers: readonly JsonObject[]): JsonObject => ({
  type: 'Sequence',
  normalizers,
});

export const smallNormalizers: Readonly<Record<string, JsonObject>> = {
  ...Object.fromEntries(
    ['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'StripAccents', 'Nmt', 'ByteLevel'].map((type) => [
      type,
      { type },
    ]),
  ),
  none: sequence(),
  strip: { type: 'Strip', strip_left: true, strip_right: true },
  'strip left': { type: 'Strip', strip_left: true, strip_right: false },
  'strip right': { type: 'Strip', strip_left: false, strip_right: true },
  prepend: { type: 'Prepend', prepend: '▁' },
  'prepend more': { type: 'Prepend', prepend: 'ab😀' },
  replace: replace({ String: ' ' }, '▁'),
  'replace by more': replace({ String: 'a' }, '日本'),
  'replace by nothing': replace({ String: 'e' }, ''),
  'replace words': replace({ Regex: '\\s+' }, ' '),
  'replace what is empty': replace({ Regex: '(?=e)' }, '-'),
  'replace with signs': replace({ Regex: "``|''" }, '"$&'),
  llama: sequence({ type: 'Prepend', prepend: '▁' }, replace({ String: ' ' }, '▁')),
  accents: sequence({ type: 'NFD' }, { type: 'StripAccents' }, { type: 'Lowercase' }),
  'compatible, then bytes': sequence({ type: 'NFKC' }, { type: 'ByteLevel' }),
  many: sequence(
    { type: 'Nmt' },
    { type: 'NFKC' },
    replace({ Regex: ' {2,}' }, ' '),
    { type: 'Strip', strip_left: true, strip_right: true },
    { type: 'Prepend', prepend: '▁' },
    { type: 'Lowercase' },
  ),
  bert: bert({}),
  'bert with case': bert({ lowercase: false }),
  'bert with accents': bert({ strip_accents: false }),
  'bert without cleaning': bert({ clean_text: false, handle_chinese_chars: false }),
};
