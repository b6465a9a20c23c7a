import { refusal, shapeOf, sizes, wrapped } from '../test/shapes.js';

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
