import { readFileSync } from 'node:fs';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { inTemporaryFolder, type FolderFiles } from '../../test/model-folder.js';
import { modelFile } from '../../test/vocabulary-golden.js';
import { openPromptTokenizers, type PromptTokenizers } from './prompt-tokenizers.js';

interface GoldenCase {
  readonly text: string;
  readonly clip: readonly number[];
  /** By the length that they are padded to. */
  readonly t5: Readonly<Record<string, readonly number[]>>;
  /** Without padding and cutting. */
  readonly t5Tokens: number;
}

const fixture = fileURLToPath(new URL('../../test/goldens/prompts/', import.meta.url));
const folders = { clip: join(fixture, 'clip'), t5: join(fixture, 't5') };
const readJson = (path: string): unknown => JSON.parse(readFileSync(join(fixture, path), 'utf8'));

/** Ids of transformers 5.17 by its CLIPTokenizer and T5Tokenizer. */
const { cases } = readJson('tokens.json') as { readonly cases: readonly GoldenCase[] };

const clipConfig = readJson('clip/tokenizer_config.json') as {
  readonly added_tokens_decoder: object;
};
const vocabulary = readJson('clip/vocab.json') as Readonly<Record<string, number>>;
const t5Definition = readJson('t5/tokenizer.json') as {
  readonly model: { readonly vocab: readonly (readonly [string, number])[] };
  readonly normalizer: { readonly normalizers: readonly object[] };
};
const [start, end] = [vocabulary['<|startoftext|>'] ?? -1, vocabulary['<|endoftext|>'] ?? -1];

/** Tokenizers of the fixture with other files; null removes one. */
function openWith(
  changes: Readonly<Record<'clip' | 't5', Readonly<Record<string, FolderFiles[string] | null>>>>,
): Promise<PromptTokenizers> {
  return inTemporaryFolder(async (folder) => {
    for (const name of ['clip', 't5'] as const) {
      await mkdir(join(folder, name));
      await cp(folders[name], join(folder, name), { recursive: true });
      for (const [file, content] of Object.entries(changes[name])) {
        const path = join(folder, name, file);
        if (content === null) await rm(path);
        else if (typeof content === 'string' || content instanceof Uint8Array)
          await writeFile(path, content);
        else await writeFile(path, JSON.stringify(content));
      }
    }
    return openPromptTokenizers({ clip: join(folder, 'clip'), t5: join(folder, 't5') });
  });
}

function expectGolden({ clip, t5 }: PromptTokenizers): void {
  expect(cases.length).toBeGreaterThan(25);
  for (const { text, ...golden } of cases) {
    expect({ text, ids: [...clip(text)] }).toEqual({ text, ids: golden.clip });
    for (const [length, ids] of Object.entries(golden.t5)) {
      const found = t5(text, Number(length));
      expect({ text, ids: [...found.ids] }).toEqual({ text, ids });
      expect({ text, tokens: found.tokens, isCut: found.isCut }).toEqual({
        text,
        tokens: Math.min(golden.t5Tokens, Number(length)),
        isCut: golden.t5Tokens > Number(length),
      });
    }
  }
}

describe('ids of prompts are those of transformers', () => {
  it('from the files that published checkpoints have', async () => {
    const tokenizers = await openPromptTokenizers(folders);
    expect(tokenizers).toMatchObject({ clipLength: 77, t5Length: 48 });
    expectGolden(tokenizers);
  });

  it('from files that name none of the special tokens, nor lengths', async () => {
    const { added_tokens_decoder } = clipConfig;
    const clip = {
      'tokenizer_config.json': { added_tokens_decoder },
      'special_tokens_map.json': null,
    };
    const tokenizers = await openWith({ clip, t5: { 'tokenizer_config.json': null } });
    expect(tokenizers).toMatchObject({ clipLength: 77, t5Length: null });
    expectGolden(tokenizers);
  });

  it('from a tokenizer.json of CLIP, in place of its other files', async () => {
    const text = readFileSync(join(fixture, 'clip/merges.txt'), 'utf8');
    const merges = text.split('\n').slice(1, -1);
    const definition = { model: { type: 'BPE', vocab: vocabulary, merges } };
    const clip = { 'tokenizer.json': definition, 'vocab.json': null, 'merges.txt': null };
    expectGolden(await openWith({ clip, t5: {} }));
  });

  it('from a tokenizer.json of T5 that splits text in another way', async () => {
    const [charsmap] = t5Definition.normalizer.normalizers;
    const definition = {
      ...t5Definition,
      normalizer: charsmap,
      pre_tokenizer: { type: 'Whitespace' },
      post_processor: null,
    };
    expectGolden(await openWith({ clip: {}, t5: { 'tokenizer.json': definition } }));
  });
});

describe('an empty prompt', () => {
  it('is special tokens and padding', async () => {
    const { clip, t5 } = await openPromptTokenizers(folders);
    expect([...clip('')]).toEqual([start, ...Array<number>(76).fill(end)]);
    expect(t5('', 4)).toEqual({ ids: Int32Array.of(1, 0, 0, 0), tokens: 1, isCut: false });
  });
});

describe('padding and length', () => {
  it('are those that the folder says', async () => {
    const config = { ...clipConfig, pad_token: '!', model_max_length: 8 };
    const { clip, clipLength } = await openWith({
      clip: { 'tokenizer_config.json': config },
      t5: {},
    });
    expect(clipLength).toBe(8);
    const [pad, dog] = [vocabulary['!'] ?? -1, vocabulary['dog</w>'] ?? -1];
    expect([...clip('dog')]).toEqual([start, dog, end, pad, pad, pad, pad, pad]);
    expect([...clip('dog '.repeat(9))]).toEqual([start, dog, dog, dog, dog, dog, dog, end]);
  });

  it('are 77 where transformers wrote that there is no limit', async () => {
    const config = { ...clipConfig, model_max_length: 1e30 };
    const { clipLength } = await openWith({ clip: { 'tokenizer_config.json': config }, t5: {} });
    expect(clipLength).toBe(77);
  });

  it('without room for the end is refused', async () => {
    const { t5 } = await openPromptTokenizers(folders);
    expect(t5('a photo', 1)).toEqual({ ids: Int32Array.of(1), tokens: 1, isCut: true });
    for (const length of [0, -1, 2.5]) expect(() => t5('a photo', length)).toThrow(RangeError);
  });
});

describe('spiece.model', () => {
  it('stands in for tokenizer.json of T5', async () => {
    const { t5 } = await openWith({
      clip: {},
      t5: {
        'tokenizer.json': null,
        'tokenizer_config.json': {},
        'spiece.model': modelFile('t5'),
      },
    });
    const { ids, tokens } = t5('the', 8);
    expect(tokens).toBeGreaterThan(1);
    expect(ids[tokens - 1]).toBe(1);
    expect([...ids.subarray(tokens)]).toEqual(Array<number>(8 - tokens).fill(0));
  });
});

describe('what cannot be used is refused by file and part', () => {
  it.each<[string, Parameters<typeof openWith>[0], string]>([
    [
      'no vocabulary',
      { clip: { 'vocab.json': null, 'merges.txt': null }, t5: {} },
      'clip/tokenizer.json: file not found, nor is one of',
    ],
    [
      'no merges',
      { clip: { 'merges.txt': null }, t5: {} },
      'clip/merges.txt: file not found, nor is tokenizer.json',
    ],
    [
      'a damaged line of merges',
      { clip: { 'merges.txt': '#version: 0.2\nd o g\n' }, t5: {} },
      'clip/merges.txt: line 2: must be two tokens, is "d o g"',
    ],
    ['a cut vocabulary', { clip: { 'vocab.json': '{"a":0,' }, t5: {} }, 'vocab.json: not valid'],
    [
      'another vocabulary than the config lists',
      { clip: { 'vocab.json': { a: 0, 'a</w>': 1 }, 'merges.txt': '' }, t5: {} },
      'clip/tokenizer_config.json: token "<|startoftext|>": is listed with the id',
    ],
    [
      'no padding',
      { clip: { 'tokenizer_config.json': { ...clipConfig, pad_token: null } }, t5: {} },
      'clip/tokenizer_config.json: there is no pad_token',
    ],
    ['no tokenizer of T5', { clip: {}, t5: { 'tokenizer.json': null } }, 't5/tokenizer.json: file'],
    [
      'a tokenizer of T5 of another kind',
      { clip: {}, t5: { 'tokenizer.json': { model: { type: 'BPE', vocab: {}, merges: [] } } } },
      't5/tokenizer.json: model.type: is "BPE", the model of this tokenizer must be Unigram',
    ],
    [
      'a damaged table of replacements',
      {
        clip: {},
        t5: {
          'tokenizer.json': {
            ...t5Definition,
            normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAA' },
          },
        },
      },
      't5/tokenizer.json: normalizer.precompiled_charsmap: is no table of replacements',
    ],
  ])('%s', async (_, changes, message) => {
    await expect(openWith(changes)).rejects.toMatchObject({
      code: 'DATASET_TOKENIZER_INVALID',
      message: expect.stringContaining(message) as string,
    });
  });

  it('a token beyond the embedding of an encoder', async () => {
    const rows = { clip: end, t5: t5Definition.model.vocab.length - 1 };
    const { clip, t5 } = await openPromptTokenizers(folders, rows);
    expect(() => clip('dog')).toThrow(
      `vocab.json: the token "<|endoftext|>" has the id ${end}, the encoder's vocabulary ends at ${end - 1}`,
    );
    expect(t5('dog', 4).tokens).toBe(2);
    expect(() => t5('<extra_id_0>', 4)).toThrow('tokenizer.json: the token "<extra_id_0>"');
  });
});
