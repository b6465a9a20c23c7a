import type { Config } from '../test/checkpoints.js';
import { of, secondFrequencies } from '../test/shapes.js';

describe('shapeOf has the particulars of', () => {
  it('Qwen3', () => {
    expect(of('Qwen3ForCausalLM')).toMatchObject({ family: 'qwen3', qkNorm: 'head' });
  });

  const theta = (base: number): unknown => expect.closeTo(base ** (-2 / 16), 6);
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
