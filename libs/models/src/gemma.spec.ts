import { of, secondFrequencies } from '../test/shapes.js';

describe('shapeOf has the particulars of', () => {
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
});
