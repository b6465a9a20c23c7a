import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import {
  exampleModel,
  inTemporaryFolder,
  textOptions,
  tokenizerWith,
  writeTokenizer,
} from '../../test/model-folder.js';
import { parseJson, type PyDict } from '../jinja/index.js';
import { loadTokenizer, type ChatTokenizer } from './chat-tokenizer.js';

interface Golden {
  readonly tokens: readonly { readonly text: string; readonly ids: readonly number[] }[];
}

function golden(model: string): Golden {
  return JSON.parse(
    readFileSync(new URL(`../../test/goldens/tokens-${model}.json`, import.meta.url), 'utf8'),
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
const qwen2PreTokenizer = {
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

const noExtras = { tools: null, documents: null, templateArguments: null };
const messages = parseJson(
  '[{"role": "user", "content": "How many?"}, {"role": "assistant", "content": "12"}]',
) as PyDict[];

function render(
  tokenizer: ChatTokenizer,
  {
    turns = 2,
    addGenerationPrompt = false,
    ...extras
  }: { turns?: number; addGenerationPrompt?: boolean } & Partial<typeof noExtras> = {},
): string {
  const row = { ...noExtras, ...extras };
  const template = tokenizer.templateFor(row);
  if (!template) throw new Error('no template');
  return template.render(messages.slice(0, turns), row, { addGenerationPrompt }).text;
}

describe.each(['demo-5m', 'tiny-qwen2'] as const)('tokenizer of %s', (model) => {
  let tokenizer: ChatTokenizer;
  beforeAll(async () => {
    tokenizer = await loadTokenizer(exampleModel(model), textOptions);
  });

  it('decodes what it and the reference encode to the same text', () => {
    const { tokens } = golden(model);
    expect(tokens.length).toBeGreaterThanOrEqual(4);
    for (const { text, ids } of tokens) {
      expect(tokenizer.decode(tokenizer.encode(text).ids)).toBe(text);
      expect(tokenizer.decode(ids)).toBe(text);
    }
  });

  it('encodes as the reference does once it has the pre-tokenizer of the reference', async () => {
    const reference = await tokenizerWith({
      'tokenizer.json': { ...tokenizerDefinition(model), pre_tokenizer: qwen2PreTokenizer },
    });
    for (const { text, ids } of golden(model).tokens)
      expect([...reference.encode(text).ids]).toEqual(ids);
  });

  it('follows the pre-tokenizer of tokenizer.json, which joins digits and line ends to what is beside them', () => {
    const [plain, code] = golden(model).tokens;
    expect([...tokenizer.encode(plain?.text ?? '').ids]).toEqual(plain?.ids);
    expect([...tokenizer.encode(code?.text ?? '').ids]).toEqual([
      631, 813, 10, 67, 14, 291, 403, 283, 452, 264, 644, 291, 201,
    ]);
    expect(tokenizer.encode(' 12').ids).toHaveLength(1);
  });

  it('renders a conversation with its chat template', () => {
    const whole = '<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n12<|im_end|>\n';
    expect(render(tokenizer)).toBe(whole);
    expect(render(tokenizer, { turns: 1, addGenerationPrompt: true })).toBe(
      whole.slice(0, whole.indexOf('12')),
    );
  });

  it('leaves special tokens out of decoded text on request', () => {
    const { ids } = tokenizer.encode('<|im_start|>user\nHi .<|im_end|>');
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe('user\nHi .');
  });

  it('treats the empty text as no tokens', () => {
    expect([...tokenizer.encode('').ids]).toEqual([]);
    expect(tokenizer.decode([])).toBe('');
  });
});

describe('special tokens', () => {
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
  ])('end an answer where the folder names them as %s', async (_, files) => {
    expect((await tokenizerWith(files)).eosTokenIds).toEqual([2]);
  });

  it('come before the ids that the folder lists', async () => {
    const tokenizer = await tokenizerWith({
      'tokenizer_config.json': { eos_token: '<|im_end|>' },
      'generation_config.json': { eos_token_id: [0, 2] },
    });
    expect(tokenizer.eosTokenIds).toEqual([2, 0]);
  });

  it('are what a template sees where a file names them, never from an id, and null is none', async () => {
    const files = {
      'chat_template.jinja':
        '{{ bos_token is defined }} {{ eos_token }} {{ pad_token is defined }} {{ image_token }} {{ additional_special_tokens }}',
      'tokenizer_config.json': {
        bos_token: null,
        extra_special_tokens: { image_token: '<image>' },
        additional_special_tokens: ['<a>', { content: '<b>' }],
      },
      'special_tokens_map.json': { bos_token: '<|im_start|>', eos_token: '<|im_end|>' },
      'config.json': { bos_token_id: 1, pad_token_id: 0 },
      'generation_config.json': { bos_token_id: 1, pad_token_id: 0 },
    };
    expect(render(await tokenizerWith(files))).toBe(
      "False <|im_end|> False <image> ['<a>', '<b>']",
    );
  });
});

describe('chat templates', () => {
  it('are none in a folder without', async () => {
    const tokenizer = await tokenizerWith({});
    expect(tokenizer.eosTokenIds).toEqual([]);
    expect(tokenizer.templates).toEqual([]);
    expect(tokenizer.templateFor(noExtras)).toBeNull();
  });

  const list = {
    chat_template: [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: 'listed {{ eos_token }}' },
    ],
    eos_token: '<|im_end|>',
  };

  it('come from chat_template.jinja, then tokenizer_config.json, then chat_template.json', async () => {
    const last = { 'chat_template.json': { chat_template: 'last' } };
    const text = { 'tokenizer_config.json': { chat_template: 'text' } };
    expect(render(await tokenizerWith(last))).toBe('last');
    expect(render(await tokenizerWith({ ...last, ...text }))).toBe('text');
    expect(render(await tokenizerWith({ ...last, ...text, 'chat_template.jinja': 'file' }))).toBe(
      'file',
    );
  });

  it('are chosen by name: tool_use where a row has tools', async () => {
    const tokenizer = await tokenizerWith({ 'tokenizer_config.json': list });
    expect(render(tokenizer)).toBe('listed <|im_end|>');
    expect(render(tokenizer, { tools: [] as never })).toBe('tools');
  });

  it('come from additional files, beside the default of tokenizer_config.json', async () => {
    const tokenizer = await inTemporaryFolder(async (folder) => {
      await writeTokenizer(folder, { 'tokenizer_config.json': list });
      await mkdir(join(folder, 'additional_chat_templates'));
      await writeFile(join(folder, 'additional_chat_templates', 'tool_use.jinja'), 'file of tools');
      return loadTokenizer(folder, textOptions);
    });
    expect(render(tokenizer, { tools: [] as never })).toBe('file of tools');
    expect(render(tokenizer)).toBe('listed <|im_end|>');
  });

  it('are replaced by one that is given', async () => {
    const tokenizer = await tokenizerWith(
      { 'tokenizer_config.json': list },
      {
        chatTemplate: 'given {{ strftime_now("%d %B") }} {{ depth }}',
        templateArguments: '{"depth": 2.0}',
      },
    );
    expect(render(tokenizer, { tools: [] as never })).toBe('given 26 July 2.0');
  });

  it('see arguments of the row before those of the job', async () => {
    const tokenizer = await tokenizerWith(
      { 'chat_template.jinja': '{{ a }} {{ b }} {{ tools is none }}' },
      { templateArguments: '{"a": 1, "b": 2}' },
    );
    const own = parseJson('{"b": "own"}') as PyDict;
    expect(render(tokenizer, { templateArguments: own as never })).toBe('1 own True');
  });

  it('name their line when they cannot be used', async () => {
    await expect(
      tokenizerWith({ 'chat_template.jinja': 'a\n{% for m in messages %}' }),
    ).rejects.toMatchObject({
      code: 'DATASET_TEMPLATE_INVALID',
      message: expect.stringMatching(/chat_template\.jinja:\d+: /) as string,
    });
  });

  it('are refused where none of several is the default', async () => {
    const tokenizer = await tokenizerWith({
      'tokenizer_config.json': { chat_template: [{ name: 'rag', template: 'x' }] },
    });
    expect(() => tokenizer.templateFor(noExtras)).toThrow(
      expect.objectContaining({ code: 'DATASET_TEMPLATE_INVALID' }),
    );
  });

  it('keep words that may come from the row apart from the reason', async () => {
    const says = await tokenizerWith({
      'chat_template.jinja': '{{ raise_exception("Roles must alternate") }}',
    });
    expect(() => render(says)).toThrow('refuses the conversation: Roles must alternate');
    const leaks = await tokenizerWith({
      'chat_template.jinja': '{{ raise_exception("Bad " + messages[0].content) }}',
    });
    expect(() => render(leaks)).toThrow(
      expect.objectContaining({
        message: 'the chat template refuses the conversation',
        detail: 'Bad How many?',
      }),
    );
  });
});

describe('a model folder', () => {
  it.each([
    ['a broken configuration', { 'tokenizer_config.json': '{' }],
    ['a configuration that is no object', { 'config.json': '[]' }],
    ['a tokenizer of no known kind', { 'tokenizer.json': { model: { type: 'Unheard' } } }],
  ])('is refused with %s', async (_, files) => {
    await expect(tokenizerWith(files)).rejects.toMatchObject({
      name: 'DatasetError',
      code: 'DATASET_TOKENIZER_INVALID',
    });
  });

  it('is refused without tokenizer.json, which is named', async () => {
    await expect(
      inTemporaryFolder((folder) => loadTokenizer(folder, textOptions)),
    ).rejects.toMatchObject({
      code: 'DATASET_TOKENIZER_INVALID',
      message: expect.stringContaining('tokenizer.json: file not found') as string,
    });
  });

  it.each(['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'])(
    'is refused with a Git LFS pointer in place of %s',
    async (name) => {
      const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n';
      await expect(tokenizerWith({ [name]: pointer })).rejects.toMatchObject({
        code: 'DATASET_TOKENIZER_INVALID',
        message: expect.stringContaining(`${name}: is a Git LFS pointer`) as string,
      });
    },
  );

  it('is refused with a Git LFS pointer as the given template', async () => {
    const chatTemplate = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n';
    await expect(tokenizerWith({}, { chatTemplate })).rejects.toMatchObject({
      code: 'DATASET_TEMPLATE_INVALID',
      message: expect.stringContaining('the given chat template is a Git LFS pointer') as string,
    });
  });

  it.each(['1e999', '2.5', '4294967298', '"2"', 'true', '-2', '[2, 1e300]', '{}'])(
    'is refused with the end token id %s in a config',
    async (value) => {
      for (const name of ['config.json', 'generation_config.json'])
        await expect(tokenizerWith({ [name]: `{"eos_token_id": ${value}}` })).rejects.toMatchObject(
          {
            code: 'DATASET_TOKENIZER_INVALID',
            message: expect.stringContaining(`${name}: eos_token_id has `) as string,
          },
        );
    },
  );

  it.each([null, -1, []])('takes the end token id %j for none', async (value) => {
    const files = { 'config.json': { eos_token_id: value } };
    expect((await tokenizerWith(files)).eosTokenIds).toEqual([]);
  });

  it.each([
    ['[1]', 'a JSON object is needed'],
    ['{', 'not valid JSON'],
    ['{"messages": []}', 'messages is set from each row'],
  ])('is refused with the template arguments %s', async (templateArguments, reason) => {
    await expect(tokenizerWith({}, { templateArguments })).rejects.toMatchObject({
      code: 'DATASET_INVALID_OPTION',
      message: expect.stringContaining(reason) as string,
    });
  });
});
