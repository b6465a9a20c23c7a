import { readFileSync } from 'node:fs';

import { processorMs } from '../../test/processor-time.js';
import type { JsonObject } from './json.js';
import { createTokenizer, type Tokenizer } from './tokenizer.js';

interface GoldenCase {
  readonly text: string;
  /** The reference has no tokens for it either. */
  readonly refused?: boolean;
  readonly ids?: readonly number[];
  /** Begin and end of each token, in turn. */
  readonly ranges?: readonly number[];
  readonly decoded?: string;
}

interface Golden {
  readonly models: readonly JsonObject[];
  readonly tokenizers: readonly {
    readonly name: string;
    readonly model: number;
    readonly parts: JsonObject;
    readonly config?: JsonObject;
    readonly cases: readonly GoldenCase[];
  }[];
}

/** Ids, ranges and decoded texts of the Rust package tokenizers 0.23.2. */
const golden = JSON.parse(
  readFileSync(new URL('../../test/goldens/tokenizers.json', import.meta.url), 'utf8'),
) as Golden;

function encoded(tokenizer: Tokenizer, text: string): Pick<GoldenCase, 'ids' | 'ranges'> {
  const { ids, starts, ends } = tokenizer.encode(text);
  return { ids: [...ids], ranges: [...ids].flatMap((_, i) => [starts[i] ?? -1, ends[i] ?? -1]) };
}

describe('tokens and ranges as the reference has them', () => {
  it.each(golden.tokenizers)('$name', ({ model, parts, config = {}, cases }) => {
    const definition = { ...parts, model: golden.models[model] };
    const tokenizer = createTokenizer({ definition, config });
    expect(cases.length).toBeGreaterThan(0);
    for (const { text, refused, ids, ranges, decoded } of cases) {
      if (refused) expect(() => tokenizer.encode(text)).toThrow('tokenizer.json: model: ');
      else expect({ text, ...encoded(tokenizer, text) }).toEqual({ text, ids, ranges });
      if (decoded !== undefined) expect(tokenizer.decode(ids ?? [])).toBe(decoded);
    }
  });
});

const byteTokens = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
);
const characterTokens = Array.from('▁abcdefghijklmnopqrstuvwxyz');
const vocabulary = Object.fromEntries(
  ['<unk>', ...byteTokens, ...characterTokens, '▁▁', '▁▁▁▁', 'ab', '<s>'].map((token, id) => [
    token,
    id,
  ]),
);
const bpeModel = {
  type: 'BPE',
  vocab: vocabulary,
  merges: ['▁ ▁', '▁▁ ▁▁', 'a b'],
  byte_fallback: true,
  unk_token: '<unk>',
};

function load(parts: JsonObject, config: JsonObject = {}): Tokenizer {
  return createTokenizer({ definition: { model: bpeModel, ...parts }, config });
}

describe('tokens of tokenizer_config.json', () => {
  const token = (content: string, flags: JsonObject = {}): JsonObject => ({
    content,
    lstrip: false,
    rstrip: false,
    normalized: false,
    single_word: false,
    special: false,
    ...flags,
  });

  it('go on from the last id in the order of their ids, or keep the id of the model', () => {
    const decoder = {
      '901': token('[[b]]'),
      '900': token('[[a]]', { special: true }),
      '3': token('<s>'),
    };
    const tokenizer = load({}, { added_tokens_decoder: decoder });
    const size = Object.keys(vocabulary).length;
    expect(tokenizer.tokenToId('[[a]]')).toBe(size);
    expect(tokenizer.tokenToId('[[b]]')).toBe(size + 1);
    expect([...tokenizer.encode('[[b]]<s>[[a]]').ids]).toEqual([size + 1, vocabulary['<s>'], size]);
    expect(tokenizer.decode([size, size + 1], { skipSpecialTokens: true })).toBe('[[b]]');
    expect(tokenizer.vocabularySize).toBe(size + 2);
  });

  it('are also those that are named as special, in any of the forms', () => {
    const tokenizer = load(
      {},
      {
        bos_token: '<s>',
        eos_token: { __type: 'AddedToken', content: '<e>', lstrip: true },
        image_token: '<i>',
        additional_special_tokens: ['<x>', { content: '<y>' }],
      },
    );
    expect([...tokenizer.encode('  <e><i>').ids]).toHaveLength(2);
    expect(tokenizer.encode('<s><x><y>').ids).toHaveLength(3);
    expect(
      tokenizer.decode(tokenizer.encode('<s><e><i><x><y>').ids, { skipSpecialTokens: true }),
    ).toBe('');
  });

  it('come from added_tokens.json where the configuration lists none', () => {
    const files = {
      definition: { model: bpeModel },
      config: {},
      addedTokens: { '<z>': 400, '<q>': 399 },
    };
    const size = Object.keys(vocabulary).length;
    expect(createTokenizer(files).tokenToId('<q>')).toBe(size);
    expect(createTokenizer(files).tokenToId('<z>')).toBe(size + 1);
  });
});

describe('what a post-processor puts around a text', () => {
  const template = (single: readonly unknown[]): JsonObject => ({
    type: 'TemplateProcessing',
    single,
    pair: [],
    special_tokens: { '<s>': { id: '<s>', ids: [7, 8], tokens: ['<s>', '<s>'] } },
  });
  const special = { SpecialToken: { id: '<s>', type_id: 0 } };
  const text = { Sequence: { id: 'A', type_id: 0 } };

  it('is read from a template, alone or in a sequence', () => {
    const processors = [{ type: 'ByteLevel', trim_offsets: true }, template([special, text])];
    const tokenizer = load({ post_processor: { type: 'Sequence', processors } });
    expect([tokenizer.specialPrefixIds, tokenizer.specialSuffixIds]).toEqual([[7, 8], []]);
    expect(load({ post_processor: template([text, special]) }).specialSuffixIds).toEqual([7, 8]);
  });

  it('is read from BERT’s and RoBERTa’s own', () => {
    const processor = { type: 'RobertaProcessing', cls: ['<s>', 1], sep: ['</s>', 2] };
    const tokenizer = load({ post_processor: processor });
    expect([tokenizer.specialPrefixIds, tokenizer.specialSuffixIds]).toEqual([[1], [2]]);
  });
});

describe('long texts', () => {
  const spaces = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  const gpt2 = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };

  it.each([
    ['spaces in one word', { normalizer: spaces }, ' '.repeat(600_000)],
    ['one letter', { normalizer: spaces }, 'a'.repeat(600_000)],
    ['spaces at a pattern', { pre_tokenizer: gpt2 }, `a${' '.repeat(600_000)}b`],
    ['marks', { normalizer: { type: 'NFC' } }, `a${'\u0323\u0307'.repeat(400_000)}`],
    ['many changes', { normalizer: { type: 'NFC' } }, 'e\u0301 '.repeat(300_000)],
  ])('take time in proportion: %s', (_, parts, text) => {
    const start = processorMs();
    expect(load(parts).encode(text).ids.length).toBeGreaterThan(0);
    expect(processorMs() - start).toBeLessThan(20_000);
  });

  it('may only grow so far', () => {
    const grow = { type: 'Replace', pattern: { String: 'a' }, content: 'a'.repeat(30) };
    const normalizer = { type: 'Sequence', normalizers: Array<unknown>(8).fill(grow) };
    expect(() => load({ normalizer }).encode('aa')).toThrow(
      'tokenizer.json: normalizer: more than',
    );
  });

  it('may not be gone through without end', () => {
    const before = { type: 'Prepend', prepend: 'x'.repeat(200_000) };
    const normalizer = { type: 'Sequence', normalizers: Array<unknown>(20).fill(before) };
    expect(() => load({ normalizer }).encode('a')).toThrow(
      'tokenizer.json: normalizer: its steps go through more than 20000300 characters',
    );
  });

  it.each(['([a-z]+)*[0-9]$', '(?=([a-z]|[a-z][a-z])+[0-9])[a-z]|x', '(a*)*b'])(
    'give up on the pattern %s before long',
    (Regex) => {
      const pre_tokenizer = {
        type: 'Split',
        pattern: { Regex },
        behavior: 'Isolated',
        invert: false,
      };
      const tokenizer = load({ pre_tokenizer });
      expect(() => tokenizer.encode('a'.repeat(60))).toThrow('takes too many steps');
      expect(tokenizer.encode('ab').ids.length).toBeGreaterThan(0);
    },
  );
});

describe('what cannot be used', () => {
  const split = (Regex: unknown): JsonObject => ({
    pre_tokenizer: { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false },
  });
  const repeated = (count: number): unknown[] => Array<unknown>(count).fill({ type: 'ByteLevel' });
  const model = (parts: JsonObject): JsonObject => ({ model: { ...bpeModel, ...parts } });

  it.each<[string, JsonObject, string]>([
    ['no model', { model: undefined }, 'tokenizer.json: model: must be an object, is missing'],
    ['null for an object', { model: null }, 'model: must be an object, is null'],
    ['an unknown model', model({ type: 'New' }), 'model.type: there is no model "New"'],
    ['no vocabulary', model({ vocab: undefined }), 'model.vocab: must be an object, is missing'],
    ['a list for a vocabulary', model({ vocab: [] }), 'model.vocab: must be an object, is a list'],
    ['an id beyond 31 bits', model({ vocab: { a: 2 ** 32 } }), 'token "a": the id must be'],
    ['an id with a fraction', model({ vocab: { a: 1.5 } }), 'token "a": the id must be'],
    ['a text for an id', model({ vocab: { a: '1' } }), 'token "a": the id must be'],
    ['merges of unknown tokens', model({ merges: ['a Q'] }), 'model.merges: [0]: "Q" is not in'],
    ['merges of three', model({ merges: ['a b c'] }), 'model.merges: [0] must be two tokens'],
    ['numbers for merges', model({ merges: [[1, 2]] }), 'model.merges: [0] must be two tokens'],
    ['dropout', model({ dropout: 0.1 }), 'model.dropout: '],
    ['a text for a flag', model({ byte_fallback: 'yes' }), 'model.byte_fallback: must be true'],
    ['an unknown normalizer', { normalizer: { type: 'X' } }, 'normalizer.type: there is no'],
    [
      'a broken table',
      { normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAD/' } },
      'normalizer.precompiled_charsmap: is no table',
    ],
    ['a list for a pre-tokenizer', { pre_tokenizer: [] }, 'pre_tokenizer: must be an object'],
    ...(
      [
        ['normalizer', 'normalizers', 1001],
        ['pre_tokenizer', 'pretokenizers', 101],
        ['decoder', 'decoders', 101],
        ['post_processor', 'processors', 101],
      ] as const
    ).map(([part, key, count]): [string, JsonObject, string] => [
      `a ${part} without end`,
      { [part]: { type: 'Sequence', [key]: [{ type: 'Sequence', [key]: repeated(count) }] } },
      `${part}: has more than ${count - 1} steps`,
    ]),
    [
      'null in a sequence',
      { pre_tokenizer: { type: 'Sequence', pretokenizers: [null] } },
      'pre_tokenizer.pretokenizers[0]: must be an object, is null',
    ],
    [
      'a back reference',
      split('(a)\\1'),
      'pre_tokenizer.pattern.Regex: the pattern cannot be used: "a back reference"',
    ],
    ['a recursive pattern', split('(?<a>x\\g<a>)'), '"\\\\g" is not supported'],
    ['an open group', split('(a'), 'a group is not closed'],
    ['an unknown property', split('\\p{Foo}'), 'there is no property "Foo"'],
    ['a number for a pattern', split(1), 'must be a text, is 1'],
    ['an unknown decoder', { decoder: { type: 'X' } }, 'decoder.type: there is no decoder "X"'],
    [
      'a template without the text',
      { post_processor: { type: 'TemplateProcessing', single: [] } },
      'post_processor.single: must have the text',
    ],
    [
      'an added token beyond 32 bits',
      { added_tokens: [{ id: 4294967366, content: 'x' }] },
      'added_tokens[0].id: the id must be a whole number from 0 to 2147483647, is 4294967366',
    ],
    [
      'an added token without flags',
      { added_tokens: [{ id: 1, content: 'x' }] },
      'added_tokens[0].single_word: must be true or false',
    ],
  ])('%s is refused by name', (_, parts, message) => {
    expect(() => load(parts)).toThrow(message);
    expect(() => load(parts)).toThrow(expect.objectContaining({ name: 'TokenizerError' }));
  });

  it('is told by the file that it stands in', () => {
    const config = { added_tokens_decoder: { '4294967366': { content: 'x' } } };
    expect(() => load({}, config)).toThrow(
      'tokenizer_config.json: added_tokens_decoder.4294967366: the id must be',
    );
    const files = { definition: { model: bpeModel }, config: {}, addedTokens: { x: -1 } };
    expect(() => createTokenizer(files)).toThrow('added_tokens.json: x: the id must be');
  });

  it('is a text without a token, where the model has none for the unknown', () => {
    const tokenizer = load({ model: { type: 'WordLevel', vocab: { a: 0 }, unk_token: '[UNK]' } });
    expect(() => tokenizer.encode('b')).toThrow('"[UNK]" is not in the vocabulary');
  });

  it('half of a surrogate pair is taken as the sign that replaces it', () => {
    expect(load({}).decode(load({}).encode('a\ud800b').ids)).toContain('<0xEF>');
  });
});
