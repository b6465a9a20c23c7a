import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { exampleModel, tokenizerOf, type FolderFiles } from '../../test/model-folder.js';
import { modelFile, vocabularyGolden, type GoldenTokenizer } from '../../test/vocabulary-golden.js';
import type { ChatTokenizer } from './chat-tokenizer.js';

function expectGolden(tokenizer: ChatTokenizer, { around, cases }: GoldenTokenizer): void {
  expect([...tokenizer.prefixIds, ...tokenizer.suffixIds]).toEqual(around);
  expect(cases.length).toBeGreaterThan(10);
  for (const { text, ids, ranges, decoded } of cases) {
    const { ids: found, starts, ends } = tokenizer.encode(text);
    expect({ text, ids: [...found] }).toEqual({ text, ids });
    const seen = [...found].flatMap((_, i) => [starts[i], ends[i]]);
    if (ranges) expect({ text, ranges: seen }).toEqual({ text, ranges });
    if (decoded !== undefined) expect(tokenizer.decode(ids)).toBe(decoded);
  }
}

const vocabulary = {
  'vocab.json': vocabularyGolden.vocabulary,
  'merges.txt': vocabularyGolden.merges,
};

describe('tokens and ranges of a folder are those of its class', () => {
  it.each(
    vocabularyGolden.pieces.map((each, i) => ({ i, name: each.config.tokenizer_class, each })),
  )('with a SentencePiece model: $i $name', async ({ each }) => {
    const files = { [each.file]: modelFile(each.model), 'tokenizer_config.json': each.config };
    expectGolden(await tokenizerOf(files), each);
  });

  it.each(
    vocabularyGolden.bytePairs.map((each, i) => ({ i, name: each.config.tokenizer_class, each })),
  )('with vocab.json and merges.txt: $i $name', async ({ each }) => {
    const files = { ...vocabulary, ...each.files, 'tokenizer_config.json': each.config };
    expectGolden(await tokenizerOf(files), each);
  });
});

describe('the class of a folder without tokenizer.json', () => {
  const byClass = { 'tokenizer.model': modelFile('llama') };

  it('does not matter where tokenizer.json is there', async () => {
    const definition = readFileSync(join(exampleModel('demo-5m'), 'tokenizer.json'), 'utf8');
    const config = { tokenizer_class: 'LlamaTokenizer' };
    const both = await tokenizerOf({
      ...byClass,
      ...vocabulary,
      'tokenizer.json': definition,
      'tokenizer_config.json': config,
    });
    const alone = await tokenizerOf({
      'tokenizer.json': definition,
      'tokenizer_config.json': config,
    });
    expect([...both.encode('Hello, world!').ids]).toEqual([...alone.encode('Hello, world!').ids]);
    expect(both.prefixIds).toEqual([]);
  });

  it.each<[string, FolderFiles]>([
    [
      'tokenizer_config.json',
      { 'tokenizer_config.json': { tokenizer_class: 'LlamaTokenizerFast' } },
    ],
    [
      'config.json',
      { 'config.json': { tokenizer_class: 'LlamaTokenizer', model_type: 'internlm2' } },
    ],
    ['the kind of model', { 'config.json': { model_type: 'mistral' } }],
    [
      'the kind of its text part',
      { 'config.json': { model_type: 'internvl_chat', llm_config: { model_type: 'llama' } } },
    ],
  ])('is told by %s', async (_, files) => {
    const tokenizer = await tokenizerOf({ ...byClass, ...files });
    expect(tokenizer.prefixIds).toEqual([1]);
    expect(tokenizer.encode('a').ids).toEqual(
      (await tokenizerOf({ ...byClass, 'config.json': { model_type: 'llama' } })).encode('a').ids,
    );
  });

  it.each<[string, FolderFiles, string]>([
    [
      'none',
      byClass,
      'tokenizer_config.json: tokenizer_class: is missing, and tokenizer.json too, so nothing says',
    ],
    [
      'one that is not known',
      { ...byClass, 'tokenizer_config.json': { tokenizer_class: 'NewTokenizer' } },
      'tokenizer_config.json: tokenizer_class: without tokenizer.json "NewTokenizer" is not known, ' +
        'only LlamaTokenizer, ',
    ],
    [
      'one of config.json that is not known',
      { ...byClass, 'config.json': { tokenizer_class: 'NewTokenizer' } },
      'config.json: tokenizer_class: without tokenizer.json "NewTokenizer" is not known',
    ],
    [
      'one that needs another file',
      { ...vocabulary, 'config.json': { model_type: 'llama' } },
      'tokenizer.model: file not found, nor is tokenizer.json',
    ],
    [
      'one of two files of which one is missing',
      { 'vocab.json': vocabularyGolden.vocabulary, 'config.json': { model_type: 'qwen2' } },
      'merges.txt: file not found',
    ],
  ])('is %s: refused with what to do', async (_, files, message) => {
    await expect(tokenizerOf(files)).rejects.toMatchObject({
      code: 'DATASET_TOKENIZER_INVALID',
      message: expect.stringContaining(message) as string,
    });
  });

  it.each([
    ['nothing at all', {}, 'tokenizer.json: file not found, nor is one of tokenizer.model, '],
    ['a tiktoken file', { 'qwen.tiktoken': '' }, 'qwen.tiktoken alone cannot be used; save the'],
    ['tekken.json', { 'tekken.json': {} }, 'tekken.json alone cannot be used; save the tokenizer'],
  ])('is not asked for where the folder has %s', async (_, files, message) => {
    await expect(tokenizerOf(files)).rejects.toThrow(message);
  });
});

describe('special tokens of a folder without tokenizer.json', () => {
  const llama = (config: object, files: FolderFiles = {}): Promise<ChatTokenizer> =>
    tokenizerOf({
      'tokenizer.model': modelFile('llama'),
      'tokenizer_config.json': { tokenizer_class: 'LlamaTokenizer', ...config },
      ...files,
    });

  it('are those of its class where it names none', async () => {
    const tokenizer = await llama({}, { 'chat_template.jinja': '{{ bos_token }}{{ eos_token }}' });
    expect(Object.fromEntries(tokenizer.specialTokens)).toEqual({
      unk_token: '<unk>',
      bos_token: '<s>',
      eos_token: '</s>',
    });
    expect(tokenizer.eosTokenIds).toEqual([2]);
    const row = { tools: null, documents: null, templateArguments: null };
    const { text } =
      tokenizer.templateFor(row)?.render([], row, { addGenerationPrompt: false }) ?? {};
    expect(text).toBe('<s></s>');
  });

  it('are what it names before those of its class, and null is none', async () => {
    const files = { 'special_tokens_map.json': { eos_token: '<ctl>' } };
    const tokenizer = await llama({ bos_token: null }, files);
    expect(tokenizer.eosTokenIds).toEqual([3]);
    expect(tokenizer.specialTokens.has('bos_token')).toBe(false);
    expect(tokenizer.prefixIds).toEqual([]);
  });

  it('go on after the vocabulary', async () => {
    const size = vocabularyGolden.models.llama?.pieces.length ?? 0;
    const tokenizer = await llama(
      { additional_special_tokens: ['<img>', '</img>'] },
      { 'added_tokens.json': { '<img>': size, '</img>': size + 1 } },
    );
    expect([...tokenizer.encode('<img></img>').ids]).toEqual([size, size + 1]);
  });

  it('with an id that they would not have are refused', async () => {
    const size = vocabularyGolden.models.llama?.pieces.length ?? 0;
    await expect(llama({}, { 'added_tokens.json': { '<img>': size + 7 } })).rejects.toThrow(
      `added_tokens.json: token "<img>": is listed with the id ${size + 7}, after the vocabulary it has ${size}`,
    );
    const decoder = { added_tokens_decoder: { '1000': { content: '<img>' } } };
    await expect(llama(decoder)).rejects.toThrow('tokenizer_config.json: token "<img>": is listed');
  });

  it('beyond the model are refused by the file of the vocabulary', async () => {
    const files = {
      'tokenizer.model': modelFile('llama'),
      'config.json': { model_type: 'llama' },
    };
    await expect(tokenizerOf(files, { vocabularySize: 100 })).rejects.toThrow(
      /tokenizer\.model: the token .* has the id 459, the model's vocabulary ends at 99/,
    );
  });
});
