import type { DecoderShape } from './decoder-shape.js';
import { shapeOf } from './shape-of.js';

type Config = Readonly<Record<string, unknown>>;

const sizes = {
  hidden_size: 48,
  intermediate_size: 40,
  vocab_size: 56,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
};

function of(architecture: string, config: Config = {}): DecoderShape {
  return shapeOf({ architectures: [architecture], ...sizes, ...config });
}

function wrapped(architecture: string, text: Config, config: Config = {}): DecoderShape {
  return shapeOf({ architectures: [architecture], text_config: text, ...config });
}

function refusal(read: () => unknown): unknown {
  try {
    read();
  } catch (error) {
    return error;
  }
  return null;
}

const windowsOf = ({ layers }: DecoderShape): readonly (number | null)[] =>
  layers.map(({ window }) => window);

/** The first inverse frequency that depends on the base, by table. */
const secondFrequencies = ({ ropes }: DecoderShape, length = 8): Readonly<Record<string, number>> =>
  Object.fromEntries(
    [...ropes].map(([name, rope]) => [name, rope.frequencies(length).inverse[1] ?? Number.NaN]),
  );

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

describe('shapeOf has the windows of', () => {
  const [full, sliding] = ['full_attention', 'sliding_attention'];
  it.each([
    ['Qwen2ForCausalLM', {}, [null, null, null, null]],
    ['Qwen2ForCausalLM', { sliding_window: 8 }, [null, null, null, null]],
    [
      'Qwen2ForCausalLM',
      { use_sliding_window: true, sliding_window: 8, max_window_layers: 3 },
      [null, null, null, 8],
    ],
    [
      'Qwen2ForCausalLM',
      { use_sliding_window: true, max_window_layers: 0 },
      [4096, 4096, 4096, 4096],
    ],
    [
      'Qwen2ForCausalLM',
      { use_sliding_window: true, sliding_window: null, max_window_layers: 0 },
      [null, null, null, null],
    ],
    [
      'Qwen3ForCausalLM',
      { use_sliding_window: true, sliding_window: 8, layer_types: [sliding, full, full, sliding] },
      [8, null, null, 8],
    ],
    ['MistralForCausalLM', {}, [4096, 4096, 4096, 4096]],
    ['MistralForCausalLM', { sliding_window: null }, [null, null, null, null]],
    ['MistralForCausalLM', { sliding_window: 6 }, [6, 6, 6, 6]],
    ['Ministral3ForCausalLM', {}, [null, null, null, null]],
    ['Phi3ForCausalLM', {}, [null, null, null, null]],
    ['Phi3ForCausalLM', { sliding_window: 2047 }, [2047, 2047, 2047, 2047]],
    ['Gemma2ForCausalLM', {}, [4096, null, 4096, null]],
    [
      'Gemma2ForCausalLM',
      { sliding_window: 8, layer_types: [full, full, sliding, full] },
      [null, null, 8, null],
    ],
    ['Gemma3ForCausalLM', { sliding_window: 8 }, [8, 8, 8, 8]],
    ['Gemma3ForCausalLM', { sliding_window: 8, sliding_window_pattern: 2 }, [8, null, 8, null]],
    ['Olmo3ForCausalLM', { sliding_window: 8 }, [8, 8, 8, null]],
    ['SmolLM3ForCausalLM', { sliding_window: 8 }, [null, null, null, null]],
    [
      'SmolLM3ForCausalLM',
      { use_sliding_window: true, sliding_window: 8, no_rope_layers: [1, 0, 1, 0] },
      [null, 8, null, 8],
    ],
  ])('%s with %j', (architecture, config, windows) => {
    expect(windowsOf(of(architecture, config))).toEqual(windows);
  });

  it('Gemma 3’s sixth layer, which sees everything and rotates otherwise', () => {
    const { layers } = of('Gemma3ForCausalLM', { num_hidden_layers: 7, sliding_window: 8 });
    const tables = layers.map(({ rope }) => rope?.key);
    expect(tables).toEqual([...Array.from({ length: 5 }, () => sliding), full, sliding]);
    expect(layers[5]?.window).toBeNull();
  });
});

describe('shapeOf has the particulars of', () => {
  it('Qwen3', () => {
    expect(of('Qwen3ForCausalLM')).toMatchObject({ family: 'qwen3', qkNorm: 'head' });
  });

  it('Gemma 2', () => {
    expect(of('Gemma2ForCausalLM', { query_pre_attn_scalar: 144, head_dim: 16 })).toMatchObject({
      family: 'gemma2',
      qkNorm: 'none',
      normOffset: 1,
      norms: {
        attentionInput: 'input_layernorm',
        attentionOutput: 'post_attention_layernorm',
        mlpInput: 'pre_feedforward_layernorm',
        mlpOutput: 'post_feedforward_layernorm',
      },
      attentionScale: 1 / 12,
      scoreCap: 50,
      logitCap: 30,
    });
    const capless = { attn_logit_softcapping: null, final_logit_softcapping: 20 };
    expect(of('Gemma2ForCausalLM', capless)).toMatchObject({ scoreCap: null, logitCap: 20 });
  });

  it.each([
    [640, 25.25, 25.296875],
    [1152, 34, 33.9375],
    [2304, 48, 48],
    [2560, 50.5, 50.59375],
    [3584, 59.75, 59.875],
    [4608, 68, 67.875],
    [5376, 73.5, 73.3125],
  ])('Gemma’s embedding factor of %d, by dtype', (hiddenSize, bfloat16, float16) => {
    for (const architecture of ['Gemma2ForCausalLM', 'Gemma3ForCausalLM']) {
      const shape = of(architecture, { hidden_size: hiddenSize });
      expect(shape.embeddingFactor('bfloat16')).toBe(bfloat16);
      expect(shape.embeddingFactor('float16')).toBe(float16);
      expect(shape.embeddingFactor('float32')).toBe(Math.fround(Math.sqrt(hiddenSize)));
    }
  });

  it('Gemma 3, whose class does not cap scores', () => {
    expect(of('Gemma3ForCausalLM', { attn_logit_softcapping: 50 })).toMatchObject({
      family: 'gemma3',
      qkNorm: 'head',
      normOffset: 1,
      attentionScale: 1 / 16,
      scoreCap: null,
      logitCap: null,
    });
    expect(of('Gemma3ForCausalLM', { final_logit_softcapping: 30 }).logitCap).toBe(30);
  });

  const theta = (base: number): unknown => expect.closeTo(base ** (-2 / 16), 6);
  it.each([
    [{}, 1e6, 1e4],
    [{ rope_theta: 5e5, rope_local_base_freq: 2e4 }, 5e5, 2e4],
    [{ rope_theta: 5e5, rope_scaling: null }, 5e5, 1e4],
    [
      { rope_parameters: { full_attention: { rope_theta: 3e5 }, sliding_attention: null } },
      3e5,
      1e4,
    ],
    [
      { rope_theta: 5e5, rope_parameters: { full_attention: null, sliding_attention: {} } },
      5e5,
      1e4,
    ],
  ])('Gemma 3’s two rotary tables from %j', (config, full, sliding) => {
    const shape = of('Gemma3ForCausalLM', { head_dim: 16, ...config });
    expect(secondFrequencies(shape)).toEqual({
      full_attention: theta(full),
      sliding_attention: theta(sliding),
    });
  });

  it('Gemma 3’s scaling, which is that of full layers alone', () => {
    const scaling = { rope_type: 'linear', factor: 8 };
    for (const config of [
      { rope_scaling: scaling },
      { rope_parameters: { full_attention: scaling, sliding_attention: { rope_type: 'default' } } },
    ]) {
      const { ropes } = of('Gemma3ForCausalLM', config);
      expect(ropes.get('full_attention')?.frequencies(1).inverse[0]).toBe(1 / 8);
      expect(ropes.get('sliding_attention')?.frequencies(1).inverse[0]).toBe(1);
    }
  });

  it('Phi-3', () => {
    const short = [1, 1, 1, 1, 1, 1].map((one, i) => one + i / 10);
    const scaling = { short_factor: short, long_factor: short.map((each) => 2 * each) };
    for (const type of ['longrope', 'su', 'yarn']) {
      const shape = of('Phi3ForCausalLM', {
        original_max_position_embeddings: 64,
        rope_scaling: { ...scaling, type },
      });
      expect(secondFrequencies(shape, 64)).toEqual({
        shared: expect.closeTo(1 / (1.1 * 1e4 ** (1 / 6)), 6),
      });
      expect(secondFrequencies(shape, 65)).toEqual({
        shared: expect.closeTo(1 / (2.2 * 1e4 ** (1 / 6)), 6),
      });
      expect(shape.ropes.get('shared')?.frequencies(1).factor).toBeCloseTo(Math.sqrt(4 / 3), 6);
    }
    expect(of('Phi3ForCausalLM', { partial_rotary_factor: 0.75, head_dim: 16 })).toMatchObject({
      family: 'phi3',
      linears: {
        qkv: { kind: 'fused', name: 'self_attn.qkv_proj', rows: 'contiguous' },
        output: 'self_attn.o_proj',
        gateUp: { kind: 'fused', name: 'mlp.gate_up_proj' },
        down: 'mlp.down_proj',
      },
      ropes: new Map([['shared', expect.objectContaining({ rotaryDim: 12 })]]),
    });
  });

  it('Phi-3’s first training, 4096 positions where the config does not say', () => {
    const ones = [1, 1, 1, 1, 1, 1];
    const shape = of('Phi3ForCausalLM', {
      max_position_embeddings: 131_072,
      rope_scaling: { type: 'longrope', short_factor: ones, long_factor: ones },
    });
    expect(shape.ropes.get('shared')?.frequencies(1).factor).toBeCloseTo(Math.sqrt(1 + 5 / 12), 6);
  });

  it('InternLM2', () => {
    expect(
      of('InternLM2ForCausalLM', { rope_scaling: { type: 'dynamic', factor: 2.5 } }),
    ).toMatchObject({
      family: 'internlm2',
      norms: {
        attentionInput: 'attention_norm',
        attentionOutput: null,
        mlpInput: 'ffn_norm',
        mlpOutput: null,
      },
      linears: {
        qkv: { kind: 'fused', name: 'attention.wqkv', rows: 'grouped' },
        output: 'attention.wo',
        gateUp: { kind: 'separate', gate: 'feed_forward.w1', up: 'feed_forward.w3' },
        down: 'feed_forward.w2',
      },
      names: [
        {
          embedding: 'model.tok_embeddings',
          layers: 'model.layers',
          norm: 'model.norm',
          head: 'output',
        },
      ],
      modules: { layers: 'model.layers', head: 'output' },
    });
  });

  it('OLMo 2 and 3', () => {
    for (const architecture of ['Olmo2ForCausalLM', 'Olmo3ForCausalLM'])
      expect(of(architecture)).toMatchObject({
        qkNorm: 'projection',
        normOffset: 0,
        norms: {
          attentionInput: null,
          attentionOutput: 'post_attention_layernorm',
          mlpInput: null,
          mlpOutput: 'post_feedforward_layernorm',
        },
      });
    const yarn = { rope_type: 'yarn', factor: 8, original_max_position_embeddings: 32 };
    const { ropes } = of('Olmo3ForCausalLM', { rope_theta: 5e5, rope_scaling: yarn });
    expect(ropes.get('full_attention')?.frequencies(1).factor).toBeCloseTo(1.2079, 4);
    expect(ropes.get('sliding_attention')?.frequencies(1).factor).toBe(1);
  });

  it('Granite', () => {
    const shape = of('GraniteForCausalLM', {
      embedding_multiplier: 12,
      attention_multiplier: 0.015625,
      residual_multiplier: 0.22,
      logits_scaling: 8,
    });
    expect(shape).toMatchObject({
      attentionScale: 0.015625,
      residualFactor: 0.22,
      logitFactor: 1 / 8,
    });
    for (const dtype of ['bfloat16', 'float32'] as const)
      expect(shape.embeddingFactor(dtype)).toBe(12);
    expect(of('GraniteForCausalLM')).toMatchObject({
      attentionScale: 1,
      residualFactor: 1,
      logitFactor: 1,
    });
  });

  it('SmolLM3', () => {
    const rotates = (config: Config): readonly boolean[] =>
      of('SmolLM3ForCausalLM', config).layers.map(({ rope }) => rope !== null);
    expect(rotates({})).toEqual([true, true, true, false]);
    expect(rotates({ no_rope_layer_interval: 2 })).toEqual([true, false, true, false]);
    expect(rotates({ no_rope_layers: [0, 1, 1, 0, 1, 1] })).toEqual([false, true, true, false]);
    expect(secondFrequencies(of('SmolLM3ForCausalLM', { head_dim: 16 }))).toEqual({
      shared: theta(2e6),
    });
  });

  it('GLM-4', () => {
    for (const config of [
      {},
      { partial_rotary_factor: 0.5 },
      { rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.5 } },
    ])
      expect(of('Glm4ForCausalLM', { head_dim: 16, ...config })).toMatchObject({
        family: 'glm4',
        norms: {
          attentionInput: 'input_layernorm',
          attentionOutput: 'post_self_attn_layernorm',
          mlpInput: 'post_attention_layernorm',
          mlpOutput: 'post_mlp_layernorm',
        },
        linears: {
          qkv: { kind: 'separate' },
          gateUp: { kind: 'fused', name: 'mlp.gate_up_proj' },
        },
        ropes: new Map([['shared', expect.objectContaining({ rotaryDim: 8, pairs: 'adjacent' })]]),
      });
  });
});

describe('shapeOf has, of a wrapper, the language model', () => {
  const names = [
    {
      embedding: 'model.language_model.embed_tokens',
      layers: 'model.language_model.layers',
      norm: 'model.language_model.norm',
      head: 'lm_head',
    },
    {
      embedding: 'language_model.model.embed_tokens',
      layers: 'language_model.model.layers',
      norm: 'language_model.model.norm',
      head: 'language_model.lm_head',
    },
  ];
  const modules = { layers: 'model.language_model.layers', head: 'lm_head' };
  const gemma = 'Gemma3ForConditionalGeneration';
  const mistral = 'Mistral3ForConditionalGeneration';

  it('Gemma 3’s, whose config is the mere difference from its class', () => {
    const text = {
      model_type: 'gemma3_text',
      hidden_size: 2560,
      intermediate_size: 10_240,
      num_hidden_layers: 34,
      rope_scaling: { factor: 8, rope_type: 'linear' },
      sliding_window: 1024,
    };
    expect(wrapped(gemma, text)).toMatchObject({
      family: 'gemma3',
      hiddenSize: 2560,
      vocabularySize: 262_208,
      maxPositions: 131_072,
      heads: 8,
      kvHeads: 4,
      headDim: 256,
      epsilon: 1e-6,
      tiedHead: true,
      names,
      modules,
    });
    expect(wrapped(gemma, text).layers).toHaveLength(34);
  });

  it('Gemma 3’s, whose class does not cap logits', () => {
    const text = { model_type: 'gemma3_text', final_logit_softcapping: 30 };
    expect(wrapped(gemma, text).logitCap).toBeNull();
  });

  it('Mistral 3’s of both kinds', () => {
    expect(wrapped(mistral, { ...sizes, sliding_window: null })).toMatchObject({
      family: 'mistral3',
      tiedHead: true,
      names,
      modules,
      layers: Array.from({ length: 4 }, () => ({
        rope: { query: 'shared', key: 'shared' },
        window: null,
      })),
    });
    const shape = wrapped(
      mistral,
      { ...sizes, model_type: 'ministral3' },
      { tie_word_embeddings: false },
    );
    expect(shape).toMatchObject({ family: 'mistral3', headDim: 128, tiedHead: false });
    expect(shape.layers[0]).toEqual({ rope: { query: 'query', key: 'key' }, window: null });
  });

  it('Ministral 3’s queries, which grow by every so many positions', () => {
    const scaling = { original_max_position_embeddings: 16, llama_4_scaling_beta: 0.1 };
    const text = {
      ...sizes,
      model_type: 'ministral3',
      rope_parameters: { rope_type: 'yarn', factor: 4, ...scaling },
    };
    const { ropes } = wrapped(mistral, text);
    const query = ropes.get('query')?.frequencies(200);
    expect([0, 15, 16, 31, 32, 100].map((each) => query?.positionFactor?.(each))).toEqual(
      [1, 1, 1.06931471824646, 1.06931471824646, 1.1098612546920776, 1.1945910453796387].map(
        (factor) => expect.closeTo(factor, 6),
      ),
    );
    const key = ropes.get('key')?.frequencies(200);
    expect(key?.positionFactor).toBeUndefined();
    expect(key?.inverse).toEqual(query?.inverse);
  });

  it('Ministral 3’s rotation where the config has none', () => {
    const shape = wrapped(mistral, { model_type: 'ministral3' });
    const query = shape.ropes.get('query')?.frequencies(8);
    expect(query?.factor).toBe(1);
    expect(query?.positionFactor?.(16_384)).toBeCloseTo(1 + 0.1 * Math.log(2), 6);
  });

  it.each([
    [gemma, undefined, {}, 'INVALID', 'text_config must be an object'],
    [gemma, {}, { quantization_config: {} }, 'UNSUPPORTED', 'quantization_config'],
    [gemma, { quantization_config: {} }, {}, 'UNSUPPORTED', 'text_config.quantization_config'],
    [gemma, { model_type: 'gemma' }, {}, 'UNSUPPORTED', 'text_config.model_type = "gemma"'],
    [gemma, { hidden_size: 0 }, {}, 'INVALID', 'text_config.hidden_size must be'],
    [
      gemma,
      { rope_parameters: { full_attention: { rope_type: 'su7' } } },
      {},
      'UNSUPPORTED',
      'text_config.rope_parameters.full_attention.rope_type = "su7"',
    ],
    [mistral, 7, {}, 'INVALID', 'text_config must be an object'],
    [mistral, { model_type: 'mixtral' }, {}, 'UNSUPPORTED', 'text_config.model_type = "mixtral"'],
    [
      mistral,
      { model_type: 'ministral3', rope_parameters: { rope_type: 'default' } },
      {},
      'INVALID',
      'llama_4_scaling_beta',
    ],
    [
      mistral,
      { rope_parameters: { rope_type: 'default', llama_4_scaling_beta: 0.1 } },
      {},
      'UNSUPPORTED',
      'llama_4_scaling_beta = 0.1',
    ],
  ])('and refuses %s with %j, %j', (architecture, text, config, code, part) => {
    const read = (): unknown =>
      shapeOf({ architectures: [architecture], text_config: text, ...config });
    expect(refusal(read)).toMatchObject({
      code: `MODEL_${code}_CONFIG`,
      message: expect.stringContaining(part),
    });
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
