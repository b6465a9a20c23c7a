import { llamaConfig, qwen2Config, type Config } from '../test/checkpoints.js';
import { layoutOf } from './families.js';

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
      'rotary scaling, old form',
      { rope_scaling: { type: 'linear', factor: 2 } },
      'MODEL_UNSUPPORTED_CONFIG',
      'rope_scaling',
    ],
    [
      'rotary scaling, new form',
      { rope_parameters: { rope_type: 'llama3', rope_theta: 1e4, factor: 8 } },
      'MODEL_UNSUPPORTED_CONFIG',
      'llama3',
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
      'partial_rotary_factor',
    ],
    [
      'another activation',
      { hidden_act: 'gelu' },
      'MODEL_UNSUPPORTED_CONFIG',
      'hidden_act = "gelu"',
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

  it.each([
    [
      'a sliding window in use',
      { use_sliding_window: true, sliding_window: 16 },
      'use_sliding_window',
    ],
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

describe('layoutOf reads', () => {
  it('the rotary base in the old form, the new form and by default', () => {
    expect(layoutOf({ ...qwen2Config, rope_theta: 1e6 }).rope.theta).toBe(1e6);
    expect(
      layoutOf({ ...qwen2Config, rope_parameters: { rope_theta: 5e5, rope_type: 'default' } }).rope
        .theta,
    ).toBe(5e5);
    expect(layoutOf(qwen2Config).rope.theta).toBe(10_000);
    expect(layoutOf({ ...qwen2Config, rope_scaling: null, rope_theta: 3e4 }).rope.theta).toBe(3e4);
  });

  it('the same from configs that differ in the name of the dtype', () => {
    const sizes = (config: Config): unknown => layoutOf(config).units;
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
      }).blockCount,
    ).toBe(2);
  });

  it('biases where the family has them', () => {
    const biased = (config: Config): string[] =>
      layoutOf(config)
        .linears.filter(({ bias }) => bias)
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
    const layout = layoutOf({ ...llamaConfig, head_dim: 10 });
    expect(layout.rope.headDim).toBe(10);
    expect(layout.linears.find(({ name }) => name === 'self_attn.o_proj')).toMatchObject({
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

  it('a tied head as the embedding and an untied one as a unit of its own', () => {
    const tied = layoutOf({ ...llamaConfig, tie_word_embeddings: true });
    expect([tied.headUnit, tied.units.length, tied.headTensor]).toEqual([
      tied.embedUnit,
      3,
      'embed_tokens.weight',
    ]);
    const untied = layoutOf(llamaConfig);
    expect([untied.headUnit, untied.units.length, untied.headTensor]).toEqual([
      3,
      4,
      'lm_head.weight',
    ]);
  });
});
