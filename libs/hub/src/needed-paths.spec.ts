import { neededPaths } from './needed-paths.js';

const transformer = ['transformer/config.json', 'transformer/diffusion_pytorch_model.safetensors'];
const others = [
  'model_index.json',
  'scheduler/scheduler_config.json',
  'text_encoder/config.json',
  'text_encoder/model.safetensors',
  'text_encoder_2/config.json',
  'text_encoder_2/model.safetensors.index.json',
  'tokenizer/merges.txt',
  'tokenizer/special_tokens_map.json',
  'tokenizer/tokenizer_config.json',
  'tokenizer/vocab.json',
  'tokenizer_2/spiece.model',
  'tokenizer_2/tokenizer.json',
  'vae/config.json',
  'vae/diffusion_pytorch_model.safetensors',
];
const all = [...others, ...transformer];
const neededOf = (paths: readonly string[]): string[] => {
  const { small, weights } = neededPaths(paths);
  return [...small, ...weights.map(({ path }) => path)].sort();
};
const without = (...paths: readonly string[]): string[] =>
  all.filter((path) => !paths.some((one) => path.startsWith(one)));

describe('what is needed of a repository of diffusers', () => {
  it('is what its components are made of, and no other copy of it', () => {
    const left = [
      'README.md',
      'ae.safetensors',
      'dev_grid.jpg',
      'flux1-dev.safetensors',
      'safety_checker/config.json',
      'safety_checker/model.safetensors',
      'text_encoder/model.fp16.safetensors',
      'text_encoder/model.onnx',
      'text_encoder/pytorch_model.bin',
      'text_encoder_2/model.safetensors.index.fp16.json',
      'transformer/diffusion_flax_model.msgpack',
      'transformer/diffusion_pytorch_model.bf16.safetensors',
      'transformer/sub/config.json',
      'vae/model.safetensors',
    ];
    expect(neededPaths([...left, ...all]).lacks).toEqual([]);
    expect(neededOf([...left, ...all])).toEqual([...all].sort());
  });

  it('is told by an index of shards from one file', () => {
    const { weights } = neededPaths(all);
    expect(weights.filter(({ isIndex }) => isIndex)).toEqual([
      { path: 'text_encoder_2/model.safetensors.index.json', isIndex: true },
    ]);
    expect(weights).toHaveLength(4);
  });

  it('is the variant of a component that has nothing else', () => {
    const variant = 'vae/diffusion_pytorch_model.fp16.safetensors';
    const paths = [...without('vae/diffusion'), variant];
    expect(neededPaths(paths)).toMatchObject({ lacks: [] });
    expect(neededOf(paths)).toEqual([...paths].sort());
  });

  it('is a file flux1-* in place of a transformer that is missing while all else is there', () => {
    const paths = [...others, 'flux1-schnell.safetensors'];
    expect(neededPaths([...paths, 'ae.safetensors'])).toMatchObject({ lacks: [] });
    expect(neededOf([...paths, 'ae.safetensors'])).toEqual([...paths].sort());
  });

  it('is not said by several files flux1-*', () => {
    const files = ['flux1-dev.safetensors', 'flux1-dev-fp8.safetensors'];
    expect(neededPaths([...others, ...files]).lacks).toEqual(['folder transformer']);
  });

  it.each([
    [['vae/'], ['folder vae']],
    [['vae/config.json'], ['vae/config.json']],
    [['vae/diffusion'], ['vae/diffusion_pytorch_model.safetensors']],
    [['text_encoder_2/model'], ['text_encoder_2/model.safetensors']],
    [
      ['transformer/', 'scheduler/'],
      ['folder transformer', 'folder scheduler'],
    ],
    [['tokenizer/merges.txt'], ['tokenizer/merges.txt']],
    [['tokenizer/merges.txt', 'tokenizer/vocab.json'], ['tokenizer/tokenizer.json']],
    [['tokenizer_2/tokenizer.json'], []],
    [['tokenizer_2/spiece.model'], []],
    [['model_index.json'], []],
  ])('without %j lacks %j', (absent, lacks) => {
    expect(neededPaths(without(...absent)).lacks).toEqual(lacks);
  });

  it('is all but the folder, where there are the single files alone', () => {
    expect(neededPaths(['README.md', 'ae.safetensors', 'flux1-dev.safetensors']).lacks).toEqual([
      'folder transformer',
      'folder scheduler',
      'folder text_encoder',
      'folder text_encoder_2',
      'folder tokenizer',
      'folder tokenizer_2',
      'folder vae',
    ]);
  });
});

it('a repository with weights of its own at the top is no folder of diffusers', () => {
  const model = ['config.json', 'model.safetensors'];
  expect(neededOf([...model, ...transformer])).toEqual(model);
});
