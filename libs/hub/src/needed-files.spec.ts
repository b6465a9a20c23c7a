import { neededFiles, shardPaths, shardsOf, type NeededFiles } from './needed-files.js';
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

const paths = (listed: readonly RepoFile[]): string[] => listed.map(({ path }) => path);
const weightsOf = (...names: string[]): string[] => {
  const { weights, indexes } = neededFiles('a/b', files(...names));
  return paths([...weights, ...indexes]);
};

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
    expect(paths(needed.small)).toEqual(kept);
    expect(paths(needed.weights)).toEqual(['model.safetensors']);
    expect(needed.indexes).toEqual([]);
  });

  it('is the single file where there are shards, too', () => {
    const both = ['config.json', 'model.safetensors.index.json', 'model.safetensors'];
    expect(weightsOf(...both)).toEqual(['model.safetensors']);
    expect(weightsOf(...both.slice(0, 2))).toEqual(['model.safetensors.index.json']);
  });

  it.each([
    'model.fp16.safetensors',
    'model.safetensors.index.bf16.json',
    'model.safetensors.fp16.index.json',
  ])('is the variant %s only where there are no other weights', (variant) => {
    expect(weightsOf('config.json', variant)).toEqual([variant]);
    for (const plain of ['model.safetensors', 'model.safetensors.index.json'])
      expect(weightsOf('config.json', variant, plain)).toEqual([plain]);
  });

  it.each([
    [['config.json'], 'it has no weights at all'],
    [['config.json', 'a.gguf', 'b.gguf', 'c.gguf', 'd.gguf'], 'a.gguf, b.gguf, c.gguf and 1 more'],
    [['adapter_config.json', 'adapter_model.safetensors'], 'holds an adapter, not a model'],
    [['model.safetensors'], 'has no config.json'],
    [
      ['flux1-dev.safetensors', 'ae.safetensors'],
      'a/b has no folder transformer, folder scheduler, folder text_encoder, folder text_encoder_2, folder tokenizer, folder tokenizer_2, folder vae; its weights are flux1-dev.safetensors, ae.safetensors',
    ],
  ])('cannot be had of %j: %s', (listed, what) => {
    const needed = (): NeededFiles => neededFiles('a/b', files(...listed));
    expect(needed).toThrow(what);
    expect(needed).toThrow(
      expect.objectContaining({ code: 'HUB_UNSUPPORTED_REPOSITORY' }) as Error,
    );
  });

  it('are the shards that the index names, once each', () => {
    const index = indexOf('2.safetensors', '1.safetensors', '2.safetensors');
    const other = indexOf('4.safetensors');
    for (const folder of ['', 'vae/']) {
      const at = (text: string) => ({ path: `${folder}x.index.json`, text });
      const shards = ['1', '2'].map((shard) => `${folder}${shard}.safetensors`);
      const listed = files(...shards, `${folder}3.safetensors`, 'sub/4.safetensors');
      expect(paths(shardsOf('a/b', at(index), listed))).toEqual(shards);
      expect(() => shardsOf('a/b', at(other), listed)).toThrow(
        `has ${folder}x.index.json, which names ${folder}4.safetensors`,
      );
    }
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
  ])('is not said by the index %s', (text) => {
    expect(() => shardPaths('a/b', { path: 'vae/x.index.json', text })).toThrow(
      expect.objectContaining({ code: 'HUB_UNSUPPORTED_REPOSITORY' }) as Error,
    );
  });
});
