import { neededFiles, shardNames, shardsOf } from './needed-files.js';
import type { RepoFile } from './repo-file.js';

const file = (path: string): RepoFile => ({
  path,
  sizeBytes: 1,
  gitSha1: '0'.repeat(40),
  sha256: null,
  xetHash: null,
});
const files = (...paths: string[]): RepoFile[] => paths.map(file);
const indexOf = (...shards: unknown[]): string =>
  JSON.stringify({ weight_map: Object.fromEntries(shards.map((shard, i) => [`t${i}`, shard])) });

describe('what is needed of a repository', () => {
  it('is what the model and its tokenizer are made of', () => {
    const kept = [
      'added_tokens.json',
      'additional_chat_templates/tools.jinja',
      'chat_template.jinja',
      'config.json',
      'generation_config.json',
      'merges.txt',
      'special_tokens_map.json',
      'tokenizer.json',
      'tokenizer.model',
      'tokenizer_config.json',
      'vocab.json',
    ];
    const left = [
      'LICENSE',
      'README.md',
      'model.fp16.safetensors',
      'modeling_x.py',
      'onnx/model.onnx',
      'original/tokenizer.model',
      'pytorch_model.bin',
      'sub/config.json',
    ];
    const needed = neededFiles('a/b', files(...kept, ...left, 'model.safetensors'));
    expect(needed.small.map(({ path }) => path)).toEqual(kept);
    expect(needed.weights.path).toBe('model.safetensors');
    expect(needed.isIndex).toBe(false);
  });

  it('is the single file where there are shards, too', () => {
    const both = ['config.json', 'model.safetensors.index.json', 'model.safetensors'];
    expect(neededFiles('a/b', files(...both)).isIndex).toBe(false);
    expect(neededFiles('a/b', files(...both.slice(0, 2))).isIndex).toBe(true);
  });

  it.each([
    [['config.json'], 'it has no weights at all'],
    [['config.json', 'a.gguf', 'b.gguf', 'c.gguf', 'd.gguf'], 'a.gguf, b.gguf, c.gguf and 1 more'],
    [['adapter_config.json', 'adapter_model.safetensors'], 'holds an adapter, not a model'],
    [['model.safetensors'], 'has no config.json'],
  ])('cannot be had of %j: %s', (paths, what) => {
    const needed = (): unknown => neededFiles('a/b', files(...paths));
    expect(needed).toThrow(what);
    expect(needed).toThrow(
      expect.objectContaining({ code: 'HUB_UNSUPPORTED_REPOSITORY' }) as Error,
    );
  });

  it('are the shards that the index names, once each', () => {
    const listed = files('1.safetensors', '2.safetensors', '3.safetensors');
    const index = indexOf('2.safetensors', '1.safetensors', '2.safetensors');
    expect(shardsOf('a/b', index, listed).map(({ path }) => path)).toEqual([
      '1.safetensors',
      '2.safetensors',
    ]);
    expect(() => shardsOf('a/b', indexOf('4.safetensors'), listed)).toThrow('names 4.safetensors');
  });

  it.each([
    '{',
    'null',
    '{}',
    '{"weight_map": null}',
    indexOf(),
    indexOf('../1.safetensors'),
    indexOf('x/1.safetensors'),
    indexOf('1.bin'),
    indexOf(7),
  ])('is not said by the index %s', (index) => {
    expect(() => shardNames('a/b', index)).toThrow(
      expect.objectContaining({ code: 'HUB_UNSUPPORTED_REPOSITORY' }) as Error,
    );
  });
});
