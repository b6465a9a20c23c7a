import process from 'node:process';
import { at } from '@emloc/checked';

import { llamaConfig, qwen2Config, type Config } from '../test/checkpoints.js';
import type { RopeSpec } from './decoder-shape.js';
import { layoutOf } from './layout-of.js';
import { lossBlock } from './layout.js';

function refusal(config: Config): unknown {
  try {
    layoutOf(config);
  } catch (error) {
    return error;
  }
  return null;
}

describe('layoutOf refuses by name', () => {
  it.each([
    [
      'an architecture it does not know',
      { architectures: ['MambaForCausalLM'] },
      'MODEL_UNKNOWN_ARCHITECTURE',
      'MambaForCausalLM',
    ],
    [
      'a config without architecture',
      { architectures: undefined },
      'MODEL_UNKNOWN_ARCHITECTURE',
      'LlamaForCausalLM',
    ],
    [
      'rotary scaling of a type that it does not know',
      { rope_parameters: { rope_type: 'ntk', rope_theta: 1e4, factor: 8 } },
      'MODEL_UNSUPPORTED_CONFIG',
      'rope_parameters.rope_type = "ntk"',
    ],
    [
      'rotary scaling without a key that it needs',
      { rope_parameters: { rope_type: 'llama3', rope_theta: 1e4, factor: 8 } },
      'MODEL_INVALID_CONFIG',
      'rope_parameters.',
    ],
    [
      'a factor beside the default type',
      { rope_parameters: { rope_type: 'default', factor: 8 } },
      'MODEL_UNSUPPORTED_CONFIG',
      'factor',
    ],
    [
      'partly rotated heads',
      { rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.5 } },
      'MODEL_UNSUPPORTED_CONFIG',
      'rope_parameters.partial_rotary_factor = 0.5',
    ],
    [
      'linear scaling by nothing',
      { rope_scaling: { type: 'linear' } },
      'MODEL_INVALID_CONFIG',
      'rope_scaling.factor',
    ],
    [
      'a rotary embedding for each type of layer',
      { rope_parameters: { full_attention: { rope_type: 'default', rope_theta: 1e6 } } },
      'MODEL_UNSUPPORTED_CONFIG',
      'rope_parameters.full_attention',
    ],
    [
      'rotary parameters that are no object',
      { rope_parameters: 'default' },
      'MODEL_INVALID_CONFIG',
      'rope_parameters must be an object, got "default"',
    ],
    [
      'bases that contradict each other',
      { rope_scaling: { type: 'default' }, rope_parameters: { rope_theta: 5e5 }, rope_theta: 1e4 },
      'MODEL_INVALID_CONFIG',
      'rope_parameters.rope_theta',
    ],
    [
      'an infinite base within',
      { rope_parameters: { rope_theta: Infinity } },
      'MODEL_INVALID_CONFIG',
      'rope_parameters.rope_theta must be a number from 1 to 1000000000000, got Infinity',
    ],
    [
      'an activation that is a megabyte',
      { hidden_act: 'x'.repeat(2 ** 20) },
      'MODEL_UNSUPPORTED_CONFIG',
      'xxx… is not supported',
    ],
    [
      'another activation',
      { hidden_act: 'relu' },
      'MODEL_UNSUPPORTED_CONFIG',
      'hidden_act = "relu"',
    ],
    [
      'quantized weights',
      { quantization_config: { bits: 4 } },
      'MODEL_UNSUPPORTED_CONFIG',
      'quantization_config',
    ],
    ['a missing size', { hidden_size: undefined }, 'MODEL_INVALID_CONFIG', 'hidden_size'],
    [
      'a size that is no number',
      { num_hidden_layers: '2' },
      'MODEL_INVALID_CONFIG',
      'num_hidden_layers',
    ],
    ['a fractional head', { num_attention_heads: 7 }, 'MODEL_INVALID_CONFIG', 'head'],
    [
      'heads that do not divide',
      { num_key_value_heads: 3 },
      'MODEL_INVALID_CONFIG',
      'num_key_value_heads 3',
    ],
    ['an odd head dimension', { head_dim: 5 }, 'MODEL_INVALID_CONFIG', 'head_dim 5'],
    [
      'a flag that is no flag',
      { tie_word_embeddings: 'yes' },
      'MODEL_INVALID_CONFIG',
      'tie_word_embeddings',
    ],
    ['a negative epsilon', { rms_norm_eps: -1 }, 'MODEL_INVALID_CONFIG', 'rms_norm_eps'],
  ])('%s', (_name, change, code, part) => {
    for (const config of [llamaConfig, qwen2Config]) {
      expect(refusal({ ...config, ...change })).toMatchObject({
        name: 'ModelError',
        code,
        message: expect.stringContaining(part),
      });
    }
  });

  const integers = [
    'hidden_size',
    'intermediate_size',
    'vocab_size',
    'num_hidden_layers',
    'num_attention_heads',
    'num_key_value_heads',
    'head_dim',
    'max_position_embeddings',
  ];
  const numbers = ['rope_theta', 'rms_norm_eps'];
  const flags = ['tie_word_embeddings'];
  const wrong = [Infinity, -Infinity, 2 ** 53, -4, '32', true, [2], {}];
  it.each([
    ...integers.flatMap((key) => [...wrong, 1e300, 0, 32.5].map((value) => [key, value] as const)),
    ...numbers.flatMap((key) => wrong.map((value) => [key, value] as const)),
    ...flags.flatMap((key) => [1, 'true', 0, []].map((value) => [key, value] as const)),
  ])('%s: %p', (key, value) => {
    const start = process.cpuUsage();
    for (const config of [llamaConfig, qwen2Config]) {
      expect(refusal({ ...config, [key]: value })).toMatchObject({
        code: 'MODEL_INVALID_CONFIG',
        message: expect.stringMatching(new RegExp(`^config\\.json: ${key} must be `)),
      });
    }
    const { user, system } = process.cpuUsage(start);
    // Billions of layers would take minutes, garbage of other suites may take a second.
    expect(user + system).toBeLessThan(5_000_000);
  });

  it('a billion layers, before it makes one', () => {
    expect(refusal({ ...llamaConfig, num_hidden_layers: 1e9 })).toMatchObject({
      message:
        'config.json: num_hidden_layers must be a whole number from 1 to 10000, got 1000000000',
    });
  });

  it.each([
    [
      'a layer of sliding attention',
      { layer_types: ['full_attention', 'sliding_attention'] },
      'sliding_attention',
    ],
  ])('%s (Qwen2)', (_name, change, part) => {
    expect(refusal({ ...qwen2Config, ...change })).toMatchObject({
      code: 'MODEL_UNSUPPORTED_CONFIG',
      message: expect.stringContaining(part),
    });
  });
});

/** The only rotary table of a model. */
function ropeOf(config: Config): RopeSpec {
  const specs = [...layoutOf(config).ropes.values()].map(({ spec }) => spec);
  expect(specs).toHaveLength(1);
  return at(specs, 0);
}

/** The base of a head dimension of 6: frequency 1 is its cube root, inverted. */
function ropeBaseOf(config: Config): number {
  return Math.round(at(ropeOf(config).frequencies(1).inverse, 1) ** -3);
}

describe('layoutOf reads', () => {
  it('the rotary base in the old form, the new form and by default', () => {
    expect(ropeBaseOf({ ...qwen2Config, rope_theta: 1e6 })).toBe(1e6);
    expect(
      ropeBaseOf({ ...qwen2Config, rope_parameters: { rope_theta: 5e5, rope_type: 'default' } }),
    ).toBe(5e5);
    expect(ropeBaseOf(qwen2Config)).toBe(10_000);
    expect(ropeBaseOf({ ...qwen2Config, rope_scaling: null, rope_theta: 3e4 })).toBe(3e4);
  });

  it.each([
    ['rope_parameters without a base', { rope_parameters: { rope_type: 'default' } }, 5e5],
    ['empty rope_parameters', { rope_parameters: {} }, 5e5],
    ['rope_parameters null', { rope_parameters: null, rope_scaling: null }, 5e5],
    ['a base null within', { rope_parameters: { rope_theta: null } }, 5e5],
    ['another base within', { rope_parameters: { rope_theta: 250000 } }, 250_000],
    ['a base within rope_scaling', { rope_scaling: { type: 'default', rope_theta: 2e5 } }, 2e5],
    [
      'equal bases in both',
      { rope_scaling: { factor: 1 }, rope_parameters: { rope_theta: 5e5 } },
      5e5,
    ],
    ['empty rope_scaling', { rope_scaling: {}, rope_parameters: { rope_theta: 7e4 } }, 7e4],
    ['the default type, old form', { rope_scaling: { rope_type: 'default' } }, 5e5],
    ['the default type, older form', { rope_scaling: { type: 'default', factor: 1 } }, 5e5],
    ['linear scaling by 1, old form', { rope_scaling: { type: 'linear', factor: 1 } }, 5e5],
    ['linear scaling by 1, new form', { rope_parameters: { rope_type: 'linear', factor: 1 } }, 5e5],
    [
      'neutral extras',
      {
        rope_parameters: {
          partial_rotary_factor: 1,
          original_max_position_embeddings: 32,
          beta_fast: null,
        },
      },
      5e5,
    ],
  ])('the rotary base from %s', (_name, change, theta) => {
    for (const config of [llamaConfig, qwen2Config])
      expect(ropeBaseOf({ ...config, rope_theta: 5e5, ...change })).toBe(theta);
  });

  it('an untied head where the config does not say, as both families have it', () => {
    for (const tie of [undefined, null])
      for (const config of [llamaConfig, qwen2Config])
        expect(layoutOf({ ...config, tie_word_embeddings: tie }).pages).toHaveLength(4);
  });

  it('the same from configs that differ in the name of the dtype', () => {
    const sizes = (config: Config): unknown => layoutOf(config).pages;
    expect(sizes({ ...llamaConfig, torch_dtype: 'bfloat16' })).toEqual(
      sizes({ ...llamaConfig, dtype: 'bfloat16' }),
    );
  });

  it('a sliding window that is not used', () => {
    expect(
      layoutOf({
        ...qwen2Config,
        sliding_window: 4096,
        use_sliding_window: false,
        layer_types: ['full_attention', 'full_attention'],
      }).numbered,
    ).toMatchObject([{ count: 2 }]);
  });

  it('biases where the family has them', () => {
    const biased = (config: Config): string[] =>
      layoutOf(config)
        .linears.filter(({ block, bias }) => block === 1 && bias)
        .map(({ name }) => name);
    expect(biased(llamaConfig)).toEqual([]);
    expect(biased(qwen2Config)).toEqual([
      'self_attn.q_proj',
      'self_attn.k_proj',
      'self_attn.v_proj',
    ]);
    expect(biased({ ...llamaConfig, attention_bias: true, mlp_bias: true })).toHaveLength(7);
  });

  it('the head dimension where it is not hidden size over heads', () => {
    const config = { ...llamaConfig, head_dim: 10 };
    expect(ropeOf(config).rotaryDim).toBe(10);
    expect(layoutOf(config).linears.find(({ name }) => name === 'self_attn.o_proj')).toMatchObject({
      inFeatures: 40,
      outFeatures: 24,
    });
  });

  it('as many key-value heads as heads where the config does not say', () => {
    expect(layoutOf({ ...llamaConfig, num_key_value_heads: undefined }).linears[1]).toMatchObject({
      name: 'self_attn.k_proj',
      outFeatures: 24,
    });
  });

  it('a tied head as the embedding and an untied one as a page of its own', () => {
    const headOf = (config: Config): unknown => {
      const layout = layoutOf(config);
      const { page, tensors } = lossBlock(layout);
      return { page, pages: layout.pages.length, weight: tensors.get('lm_head.weight') };
    };
    expect(headOf({ ...llamaConfig, tie_word_embeddings: true })).toEqual({
      page: 0,
      pages: 3,
      weight: 'embed_tokens.weight',
    });
    expect(headOf(llamaConfig)).toEqual({ page: 3, pages: 4, weight: 'lm_head.weight' });
  });

  it('a chain from the embedding through the layers to the head', () => {
    expect(layoutOf(llamaConfig).blocks.map(({ path, page }) => [path, page])).toEqual([
      ['model.embed_tokens', 0],
      ['model.layers.0', 1],
      ['model.layers.1', 2],
      ['lm_head', 3],
    ]);
  });
});
