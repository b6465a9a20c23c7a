import { of, refusal, shapeOf, sizes } from '../test/shapes.js';

const textFamilies = [
  'LlamaForCausalLM',
  'Qwen2ForCausalLM',
  'Qwen3ForCausalLM',
  'MistralForCausalLM',
  'Gemma2ForCausalLM',
  'Gemma3ForCausalLM',
  'Phi3ForCausalLM',
  'InternLM2ForCausalLM',
  'InternLM3ForCausalLM',
  'Olmo2ForCausalLM',
  'Olmo3ForCausalLM',
  'GraniteForCausalLM',
  'SmolLM3ForCausalLM',
  'Glm4ForCausalLM',
  'SeedOssForCausalLM',
];

describe('shapeOf', () => {
  it('has Llama’s block, and what differs from it in other families', () => {
    const separate = {
      qkv: {
        kind: 'separate',
        q: 'self_attn.q_proj',
        k: 'self_attn.k_proj',
        v: 'self_attn.v_proj',
      },
      output: 'self_attn.o_proj',
      gateUp: { kind: 'separate', gate: 'mlp.gate_proj', up: 'mlp.up_proj' },
      down: 'mlp.down_proj',
    };
    const llama = of('LlamaForCausalLM');
    expect(llama).toMatchObject({
      family: 'llama',
      hiddenSize: 48,
      intermediateSize: 40,
      vocabularySize: 56,
      maxPositions: 256,
      heads: 4,
      kvHeads: 2,
      headDim: 12,
      epsilon: 1e-5,
      tiedHead: false,
      bias: { qkv: false, output: false, mlp: false },
      qkNorm: 'none',
      normOffset: 0,
      norms: {
        attentionInput: 'input_layernorm',
        attentionOutput: null,
        mlpInput: 'post_attention_layernorm',
        mlpOutput: null,
      },
      attentionScale: 1 / Math.sqrt(12),
      scoreCap: null,
      activation: 'silu',
      linears: separate,
      residualFactor: 1,
      logitFactor: 1,
      logitCap: null,
      names: [
        {
          embedding: 'model.embed_tokens',
          layers: 'model.layers',
          norm: 'model.norm',
          head: 'lm_head',
        },
      ],
      modules: { layers: 'model.layers', head: 'lm_head' },
    });
    expect(llama.embeddingFactor('bfloat16')).toBe(1);
    expect(llama.layers).toHaveLength(4);
    expect(llama.layers[0]).toEqual({ rope: { query: 'shared', key: 'shared' }, window: null });
    expect([...llama.ropes.values()]).toMatchObject([{ rotaryDim: 12, pairs: 'halves' }]);
  });

  it.each([
    ['LlamaForCausalLM', false],
    ['Qwen2ForCausalLM', false],
    ['Qwen3ForCausalLM', false],
    ['MistralForCausalLM', false],
    ['Gemma2ForCausalLM', true],
    ['Gemma3ForCausalLM', true],
    ['Phi3ForCausalLM', false],
    ['InternLM2ForCausalLM', false],
    ['InternLM3ForCausalLM', true],
    ['Olmo2ForCausalLM', false],
    ['Olmo3ForCausalLM', false],
    ['GraniteForCausalLM', false],
    ['SmolLM3ForCausalLM', true],
    ['Glm4ForCausalLM', false],
    ['SeedOssForCausalLM', false],
  ])('ties the head of %s where nothing is said: %s', (architecture, isTied) => {
    expect(of(architecture).tiedHead).toBe(isTied);
    expect(of(architecture, { tie_word_embeddings: null }).tiedHead).toBe(isTied);
    expect(of(architecture, { tie_word_embeddings: !isTied }).tiedHead).toBe(!isTied);
  });

  it.each([
    ['LlamaForCausalLM', { attention_bias: true }, [true, true, false]],
    ['LlamaForCausalLM', { mlp_bias: true }, [false, false, true]],
    ['Qwen2ForCausalLM', {}, [true, false, false]],
    ['Qwen3ForCausalLM', { attention_bias: true }, [true, true, false]],
    ['Gemma2ForCausalLM', { attention_bias: true }, [true, true, false]],
    ['Olmo2ForCausalLM', { attention_bias: true }, [true, true, false]],
    ['GraniteForCausalLM', { attention_bias: true, mlp_bias: true }, [true, true, true]],
    ['SmolLM3ForCausalLM', { mlp_bias: true }, [false, false, true]],
    ['Glm4ForCausalLM', {}, [true, false, false]],
    ['Glm4ForCausalLM', { attention_bias: false }, [false, false, false]],
    ['SeedOssForCausalLM', {}, [true, false, false]],
    ['SeedOssForCausalLM', { attention_out_bias: true, mlp_bias: true }, [true, true, true]],
    ['InternLM2ForCausalLM', {}, [true, true, false]],
    ['InternLM2ForCausalLM', { bias: false }, [false, false, false]],
    ['InternLM3ForCausalLM', { qkv_bias: true }, [true, false, false]],
    ['InternLM3ForCausalLM', { bias: true }, [false, true, true]],
  ])('%s with %j has its biases', (architecture, config, [qkv, output, mlp]) => {
    expect(of(architecture, config).bias).toEqual({ qkv, output, mlp });
  });

  it.each([
    ['LlamaForCausalLM', {}, 12],
    ['LlamaForCausalLM', { head_dim: 20 }, 20],
    ['Qwen3ForCausalLM', {}, 128],
    ['Gemma2ForCausalLM', { head_dim: null }, 256],
    ['Gemma3ForCausalLM', {}, 256],
    ['Glm4ForCausalLM', {}, 128],
    ['SeedOssForCausalLM', {}, 128],
    ['GraniteForCausalLM', { head_dim: 16 }, 16],
  ])('%s with %j has its head dimension', (architecture, config, headDim) => {
    expect(of(architecture, config).headDim).toBe(headDim);
  });

  it('takes the class’s key heads where the key is absent, and as many as heads for null', () => {
    const absent = { num_attention_heads: 32, hidden_size: 64, num_key_value_heads: undefined };
    expect(of('LlamaForCausalLM', absent).kvHeads).toBe(32);
    expect(of('MistralForCausalLM', absent).kvHeads).toBe(8);
    expect(of('MistralForCausalLM', { ...absent, num_key_value_heads: null }).kvHeads).toBe(32);
    expect(of('Glm4ForCausalLM', absent).kvHeads).toBe(2);
  });

  it.each([
    ['silu', 'silu'],
    ['swish', 'silu'],
    ['gelu', 'gelu'],
    ['gelu_pytorch_tanh', 'geluTanh'],
    ['gelu_new', 'geluTanh'],
  ])('has the activation %s', (name, activation) => {
    expect(of('LlamaForCausalLM', { hidden_act: name }).activation).toBe(activation);
    expect(of('Gemma3ForCausalLM', { hidden_activation: name }).activation).toBe(activation);
  });

  it('takes no notice of hidden_act in Gemma', () => {
    for (const architecture of ['Gemma2ForCausalLM', 'Gemma3ForCausalLM'])
      expect(of(architecture, { hidden_act: 'silu' }).activation).toBe('geluTanh');
  });
});

describe('shapeOf refuses', () => {
  it.each([
    ['quantization_config', { bits: 4 }, 'UNSUPPORTED'],
    ['hidden_size', undefined, 'INVALID'],
    ['hidden_size', 32.5, 'INVALID'],
    ['vocab_size', '56', 'INVALID'],
    ['num_hidden_layers', 1e9, 'INVALID'],
    ['num_key_value_heads', 3, 'INVALID'],
    ['num_key_value_heads', 0, 'INVALID'],
    ['head_dim', 5, 'INVALID'],
    ['max_position_embeddings', -1, 'INVALID'],
    ['rms_norm_eps', 0, 'INVALID'],
    ['tie_word_embeddings', 'yes', 'INVALID'],
    ['layer_types', ['full_attention'], 'INVALID'],
    ['layer_types', 'full_attention', 'INVALID'],
    ['layer_types', Array.from({ length: 4 }, () => 'linear_attention'), 'UNSUPPORTED'],
    ['rope_theta', '10000', 'INVALID'],
    ['rope_scaling', 'linear', 'INVALID'],
    ['rope_scaling', { rope_type: 'ntk' }, 'UNSUPPORTED'],
    ['rope_parameters', { rope_type: 'proportional' }, 'UNSUPPORTED'],
  ])('%s = %j in every family', (key, value, code) => {
    for (const architecture of textFamilies)
      expect(refusal(() => of(architecture, { [key]: value }))).toMatchObject({
        name: 'ModelError',
        code: `MODEL_${code}_CONFIG`,
        message: expect.stringContaining(key),
      });
  });

  const sliding = Array.from({ length: 4 }, () => 'sliding_attention');
  it.each([
    ['LlamaForCausalLM', 'hidden_act', 'relu', 'UNSUPPORTED'],
    ['LlamaForCausalLM', 'pretraining_tp', 2, 'UNSUPPORTED'],
    ['LlamaForCausalLM', 'attention_bias', 1, 'INVALID'],
    ['LlamaForCausalLM', 'mlp_bias', 'no', 'INVALID'],
    ['LlamaForCausalLM', 'layer_types', sliding, 'UNSUPPORTED'],
    ['LlamaForCausalLM', 'partial_rotary_factor', 0.5, 'UNSUPPORTED'],
    ['Qwen2ForCausalLM', 'use_mrope', true, 'UNSUPPORTED'],
    ['Qwen2ForCausalLM', 'use_sliding_window', 'yes', 'INVALID'],
    ['Qwen2ForCausalLM', 'layer_types', sliding, 'UNSUPPORTED'],
    ['Qwen3ForCausalLM', 'layer_types', sliding, 'UNSUPPORTED'],
    ['Qwen3ForCausalLM', 'max_window_layers', -1, 'INVALID'],
    ['MistralForCausalLM', 'sliding_window', 0, 'INVALID'],
    ['MistralForCausalLM', 'attention_bias', true, 'UNSUPPORTED'],
    ['Gemma2ForCausalLM', 'sliding_window', null, 'UNSUPPORTED'],
    ['Gemma2ForCausalLM', 'hidden_activation', 'relu', 'UNSUPPORTED'],
    ['Gemma2ForCausalLM', 'use_bidirectional_attention', true, 'UNSUPPORTED'],
    ['Gemma2ForCausalLM', 'query_pre_attn_scalar', 0, 'INVALID'],
    ['Gemma2ForCausalLM', 'attn_logit_softcapping', 0, 'INVALID'],
    ['Gemma2ForCausalLM', 'final_logit_softcapping', 'none', 'INVALID'],
    ['Gemma3ForCausalLM', 'use_bidirectional_attention', true, 'UNSUPPORTED'],
    ['Gemma3ForCausalLM', 'sliding_window_pattern', 0, 'INVALID'],
    ['Gemma3ForCausalLM', '_sliding_window_pattern', 3, 'UNSUPPORTED'],
    ['Gemma3ForCausalLM', 'rope_parameters', { rope_theta: 1e4 }, 'UNSUPPORTED'],
    ['Gemma3ForCausalLM', 'rope_local_base_freq', '1e4', 'INVALID'],
    ['Phi3ForCausalLM', 'attention_bias', true, 'UNSUPPORTED'],
    ['Phi3ForCausalLM', 'lm_head_bias', true, 'UNSUPPORTED'],
    ['Phi3ForCausalLM', 'rope_scaling', { type: 'linear', factor: 2 }, 'UNSUPPORTED'],
    ['Phi3ForCausalLM', 'partial_rotary_factor', 0.1, 'INVALID'],
    ['InternLM2ForCausalLM', 'bias', 'no', 'INVALID'],
    ['InternLM2ForCausalLM', 'head_dim', 16, 'UNSUPPORTED'],
    ['InternLM2ForCausalLM', 'rope_pos_id_version', 'v2pe', 'UNSUPPORTED'],
    ['InternLM2ForCausalLM', 'rope_scaling', { type: 'yarn', factor: 2 }, 'UNSUPPORTED'],
    ['InternLM3ForCausalLM', 'qkv_bias', 1, 'INVALID'],
    ['Olmo3ForCausalLM', 'rope_theta', 1e6, 'UNSUPPORTED'],
    ['Olmo3ForCausalLM', 'sliding_window', null, 'UNSUPPORTED'],
    ['GraniteForCausalLM', 'logits_scaling', 0, 'INVALID'],
    ['GraniteForCausalLM', 'attention_multiplier', '1', 'INVALID'],
    ['SmolLM3ForCausalLM', 'no_rope_layers', [1, 0], 'INVALID'],
    ['SmolLM3ForCausalLM', 'no_rope_layers', [1, 0, 2, 1], 'INVALID'],
    ['SmolLM3ForCausalLM', 'no_rope_layer_interval', 0, 'INVALID'],
    ['SmolLM3ForCausalLM', 'layer_types', sliding, 'UNSUPPORTED'],
    ['Glm4ForCausalLM', 'partial_rotary_factor', 2, 'INVALID'],
  ])('%s: %s = %j', (architecture, key, value, code) => {
    expect(refusal(() => of(architecture, { [key]: value }))).toMatchObject({
      code: `MODEL_${code}_CONFIG`,
      message: expect.stringMatching(/^config\.json: /),
    });
  });

  it('an architecture that it does not know, with those that it does', () => {
    for (const architectures of [['MambaForCausalLM'], [], undefined])
      expect(refusal(() => shapeOf({ ...sizes, architectures }))).toMatchObject({
        code: 'MODEL_UNKNOWN_ARCHITECTURE',
        message: expect.stringContaining('Olmo3ForCausalLM'),
      });
  });
});
