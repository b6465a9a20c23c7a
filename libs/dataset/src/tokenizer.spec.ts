import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { exampleModel, inTemporaryFolder, writeTokenizer } from '../test/model-folder.js';
import { loadTokenizer, type ChatTokenizer } from './tokenizer.js';

interface Golden {
  readonly tokens: readonly { readonly text: string; readonly ids: readonly number[] }[];
}

function golden(model: string): Golden {
  return JSON.parse(
    readFileSync(new URL(`../test/goldens/tokens-${model}.json`, import.meta.url), 'utf8'),
  ) as Golden;
}

function tokenizerDefinition(model: 'demo-5m' | 'tiny-qwen2'): object {
  return JSON.parse(readFileSync(join(exampleModel(model), 'tokenizer.json'), 'utf8')) as object;
}

/**
 * The pre-tokenizer of transformers' Qwen2Tokenizer class. All reference ids come out with it and
 * only one text's without it, so the reference evidently replaced the one in tokenizer.json, a
 * plain byte-level one. Tokens that only the latter can produce (" 12", a line end with
 * indentation) have embeddings of demo-5m that were evidently trained, so tokenizer.json is what is
 * followed.
 */
const QWEN2_PRE_TOKENIZER = {
  type: 'Sequence',
  pretokenizers: [
    {
      type: 'Split',
      behavior: 'Isolated',
      invert: false,
      pattern: {
        Regex:
          "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
      },
    },
    { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  ],
};

describe.each(['demo-5m', 'tiny-qwen2'] as const)('tokenizer of %s', (model) => {
  let tokenizer: ChatTokenizer;
  beforeAll(async () => {
    tokenizer = await loadTokenizer(exampleModel(model));
  });

  it('decodes what it and the reference encode to the same text', () => {
    const { tokens } = golden(model);
    expect(tokens.length).toBeGreaterThanOrEqual(4);
    for (const { text, ids } of tokens) {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      expect(tokenizer.decode(ids)).toBe(text);
    }
  });

  it('encodes as the reference does once it has the pre-tokenizer of the reference', async () => {
    const reference = await inTemporaryFolder(async (folder) => {
      await writeTokenizer(folder, {
        'tokenizer.json': { ...tokenizerDefinition(model), pre_tokenizer: QWEN2_PRE_TOKENIZER },
      });
      return loadTokenizer(folder);
    });
    for (const { text, ids } of golden(model).tokens)
      expect([...reference.encode(text)]).toEqual(ids);
  });

  it('follows the pre-tokenizer of tokenizer.json, which joins digits and line ends to what is beside them', () => {
    const [plain, code] = golden(model).tokens;
    expect([...tokenizer.encode(plain?.text ?? '')]).toEqual(plain?.ids);
    expect([...tokenizer.encode(code?.text ?? '')]).toEqual([
      631, 813, 10, 67, 14, 291, 403, 283, 452, 264, 644, 291, 201,
    ]);
    expect(tokenizer.encode(' 12')).toHaveLength(1);
  });

  it('renders a conversation with its chat template', () => {
    const messages = [
      { role: 'user', content: 'How many?' },
      { role: 'assistant', content: '12' },
    ];
    const whole = '<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n12<|im_end|>\n';
    expect(tokenizer.hasChatTemplate).toBe(true);
    expect(tokenizer.renderChat(messages, { addGenerationPrompt: false })).toBe(whole);
    expect(tokenizer.renderChat(messages.slice(0, 1), { addGenerationPrompt: true })).toBe(
      whole.slice(0, whole.indexOf('12')),
    );
  });

  it('leaves special tokens out of decoded text on request', () => {
    const ids = tokenizer.encode('<|im_start|>user\nHi .<|im_end|>');
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe('user\nHi .');
  });

  it('treats the empty text as no tokens', () => {
    expect([...tokenizer.encode('')]).toEqual([]);
    expect(tokenizer.decode([])).toBe('');
  });
});

describe('loadTokenizer', () => {
  const load = (files: Readonly<Record<string, string | object>>): Promise<ChatTokenizer> =>
    inTemporaryFolder(async (folder) => {
      await writeTokenizer(folder, files);
      return loadTokenizer(folder);
    });
  const hello = [{ role: 'user', content: 'Hello' }];

  it.each([
    ['text in tokenizer_config.json', { 'tokenizer_config.json': { eos_token: '<|im_end|>' } }],
    [
      'an object in tokenizer_config.json',
      { 'tokenizer_config.json': { eos_token: { content: '<|im_end|>', special: true } } },
    ],
    [
      'special_tokens_map.json',
      { 'special_tokens_map.json': { eos_token: { content: '<|im_end|>' } } },
    ],
    ['an id in generation_config.json', { 'generation_config.json': { eos_token_id: 2 } }],
    ['an id in config.json', { 'config.json': { eos_token_id: 2 } }],
  ])('finds the end-of-sequence token as %s', async (_, files) => {
    expect((await load(files)).eosTokenIds).toEqual([2]);
  });

  it('puts the tokenizer’s own end-of-sequence token before the others that end an answer', async () => {
    const tokenizer = await load({
      'tokenizer_config.json': { eos_token: '<|im_end|>' },
      'generation_config.json': { eos_token_id: [0, 2] },
    });
    expect(tokenizer.eosTokenIds).toEqual([2, 0]);
  });

  it.each(['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'])(
    'names %s where it is a Git LFS pointer',
    async (name) => {
      const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n`;
      await expect(load({ [name]: pointer })).rejects.toMatchObject({
        code: 'DATASET_TOKENIZER_INVALID',
        message: expect.stringMatching(new RegExp(`${name} is a Git LFS pointer`)),
      });
    },
  );

  it('works without special tokens and without a chat template', async () => {
    const tokenizer = await load({});
    expect(tokenizer.eosTokenIds).toEqual([]);
    expect(tokenizer.hasChatTemplate).toBe(false);
    expect(() => tokenizer.renderChat(hello, { addGenerationPrompt: true })).toThrow(
      'no chat template',
    );
  });

  it('takes the template named default from a list, and the file before the configuration', async () => {
    const list = {
      chat_template: [
        { name: 'tool_use', template: 'tools' },
        { name: 'default', template: 'listed {{ eos_token }}' },
      ],
      eos_token: '<|im_end|>',
    };
    const listed = await load({ 'tokenizer_config.json': list });
    expect(listed.renderChat(hello, { addGenerationPrompt: false })).toBe('listed <|im_end|>');
    const fromFile = await load({ 'tokenizer_config.json': list, 'chat_template.jinja': 'file' });
    expect(fromFile.renderChat(hello, { addGenerationPrompt: false })).toBe('file');
    const text = await load({ 'tokenizer_config.json': { chat_template: 'text' } });
    expect(text.renderChat(hello, { addGenerationPrompt: false })).toBe('text');
  });

  it('offers range and block trimming, and hides the date from templates', async () => {
    const template =
      '{% for i in range(1, 6, 2) %}\n  {% if i > 1 %}\n{{ i }},{% endif %}\n{% endfor %}{{ strftime_now is defined }}{{ range(3) | length }}';
    const tokenizer = await load({ 'chat_template.jinja': template });
    expect(tokenizer.renderChat(hello, { addGenerationPrompt: false })).toBe('3,5,false3');
  });

  it.each([
    [
      'a list without a default',
      { 'tokenizer_config.json': { chat_template: [{ name: 'rag', template: 'x' }] } },
      'DATASET_TEMPLATE_INVALID',
    ],
    [
      'a template that does not parse',
      { 'chat_template.jinja': '{% for m in messages %}' },
      'DATASET_TEMPLATE_INVALID',
    ],
    ['a broken configuration', { 'tokenizer_config.json': '{' }, 'DATASET_TOKENIZER_INVALID'],
    ['a configuration that is no object', { 'config.json': '[]' }, 'DATASET_TOKENIZER_INVALID'],
    [
      'a tokenizer of no known kind',
      { 'tokenizer.json': { model: { type: 'Unheard' } } },
      'DATASET_TOKENIZER_INVALID',
    ],
  ])('refuses %s', async (_, files, code) => {
    await expect(load(files)).rejects.toMatchObject({ name: 'DatasetError', code });
  });

  it('refuses a folder without tokenizer.json, naming the file', async () => {
    await expect(inTemporaryFolder((folder) => loadTokenizer(folder))).rejects.toMatchObject({
      code: 'DATASET_TOKENIZER_INVALID',
      message: expect.stringContaining('tokenizer.json: file not found') as string,
    });
  });

  it('repeats what a template says about a conversation it refuses, unless the words may come from the row', async () => {
    const says = await load({
      'chat_template.jinja': '{{ raise_exception("Roles must alternate") }}',
    });
    expect(() => says.renderChat(hello, { addGenerationPrompt: false })).toThrow(
      'refuses the conversation: Roles must alternate',
    );
    const leaks = await load({
      'chat_template.jinja': '{{ raise_exception("Bad " + messages[0].content) }}',
    });
    expect(() => leaks.renderChat(hello, { addGenerationPrompt: false })).toThrow(
      /refuses the conversation$/,
    );
  });
});
