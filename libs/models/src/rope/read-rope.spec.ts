import { ConfigReader } from '../config.js';
import type { RopeSpec } from '../decoder-shape.js';
import { readLayerRope, readRope, type RopeModel } from './read-rope.js';

const model: RopeModel = { headDim: 16, maxPositions: 256, theta: 10_000 };

function rope(config: Readonly<Record<string, unknown>>, changes: Partial<RopeModel> = {}) {
  return readRope(new ConfigReader(config), { ...model, ...changes });
}

function refusal(read: () => unknown): unknown {
  try {
    read();
  } catch (error) {
    return error;
  }
  return null;
}

const plain = [1, 0.31622776, 0.1, 0.031622779, 0.0099999998, 0.0031622779, 0.001, 0.00031622779];

function expectFrequencies(
  spec: RopeSpec,
  length: number,
  expected: { readonly inverse: readonly number[]; readonly factor?: number },
): void {
  const { inverse, factor } = spec.frequencies(length);
  expect(inverse).toHaveLength(expected.inverse.length);
  for (const [i, value] of expected.inverse.entries())
    expect(Math.abs((inverse[i] ?? Number.NaN) / value - 1)).toBeLessThan(1e-6);
  expect(factor).toBeCloseTo(expected.factor ?? 1, 6);
}

const original = 64;
const longrope = {
  rope_type: 'longrope',
  short_factor: [1, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35],
  long_factor: [1.5, 1.8, 2.1, 2.4, 2.7, 3, 3.3, 3.6],
  original_max_position_embeddings: original,
};
const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: original };
const yarnInverse = [
  1, 0.23717082, 0.049999997, 0.0079056947, 0.0024999999, 0.00079056947, 0.00025000001,
  7.9056947e-5,
];

describe('readRope has the frequencies of transformers', () => {
  it.each([
    ['default', { rope_type: 'default' }, 64, plain, 1],
    ['nothing', {}, 64, plain, 1],
    [
      'linear',
      { rope_type: 'linear', factor: 4 },
      64,
      [
        0.25, 0.079056941, 0.025, 0.0079056947, 0.0024999999, 0.00079056947, 0.00025000001,
        7.9056947e-5,
      ],
      1,
    ],
    ['dynamic', { rope_type: 'dynamic', factor: 2 }, 256, plain, 1],
    [
      'llama3',
      {
        rope_type: 'llama3',
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: original,
      },
      64,
      [
        1, 0.24438459, 0.013042256, 0.0039528473, 0.00125, 0.00039528473, 0.00012500001,
        3.9528473e-5,
      ],
      1,
    ],
    ['yarn', yarn, 64, yarnInverse, 1.13862944],
    [
      'yarn with null keys, whose factor is that of the positions',
      { ...yarn, factor: null, beta_fast: null, beta_slow: null, mscale: null },
      64,
      yarnInverse,
      1.13862944,
    ],
    [
      'yarn without a factor, and with zeros that count as absence',
      { ...yarn, factor: undefined, beta_fast: 0, beta_slow: 0, mscale: 0, mscale_all_dim: 1 },
      64,
      yarnInverse,
      1.13862944,
    ],
    [
      'yarn, not truncated',
      { ...yarn, truncate: false, beta_fast: 8, beta_slow: 2 },
      64,
      [
        1, 0.16058916, 0.025, 0.0079056947, 0.0024999999, 0.00079056947, 0.00025000001,
        7.9056947e-5,
      ],
      1.13862944,
    ],
    [
      'yarn, truncate null, which transformers takes for false',
      { ...yarn, truncate: null, beta_fast: 8, beta_slow: 2 },
      64,
      [
        1, 0.16058916, 0.025, 0.0079056947, 0.0024999999, 0.00079056947, 0.00025000001,
        7.9056947e-5,
      ],
      1.13862944,
    ],
    [
      'yarn with mscale',
      { ...yarn, factor: 16, mscale: 1, mscale_all_dim: 0.5 },
      64,
      [
        1, 0.21740657, 0.037499998, 0.0019764237, 0.00062499999, 0.00019764237, 6.2500003e-5,
        1.9764237e-5,
      ],
      1.12175114,
    ],
    [
      'yarn with an attention factor',
      { ...yarn, factor: 8, attention_factor: 1.2079 },
      64,
      [
        1, 0.22399466, 0.041666664, 0.0039528473, 0.00125, 0.00039528473, 0.00012500001,
        3.9528473e-5,
      ],
      1.2079,
    ],
    [
      'longrope of rows up to the original length',
      longrope,
      64,
      [
        1, 0.30116931, 0.090909094, 0.027498068, 0.0083333328, 0.0025298223, 0.00076923077,
        0.00023424279,
      ],
      1.15470054,
    ],
    [
      'longrope of longer rows',
      longrope,
      65,
      [
        0.66666669, 0.1756821, 0.047619049, 0.013176156, 0.0037037036, 0.0010540927, 0.00030303031,
        8.784105e-5,
      ],
      1.15470054,
    ],
  ])('%s', (_name, parameters, length, inverse, factor) => {
    const { rope_type: type, ...rest } = { rope_type: undefined, ...parameters };
    for (const config of [
      { rope_parameters: parameters },
      { rope_scaling: parameters },
      { rope_scaling: { ...rest, type } },
      { rope_scaling: parameters, rope_parameters: { ...parameters, rope_theta: 1e4 } },
    ])
      expectFrequencies(rope(config), length, { inverse, factor });
  });

  it('longrope under the name su, with the factor of the config', () => {
    const spec = rope({
      rope_scaling: { ...longrope, rope_type: undefined, type: 'su', factor: 1 },
    });
    expect(spec.frequencies(64).factor).toBe(1);
  });

  it('of a base that float32 cannot hold', () => {
    const { inverse } = rope({ rope_theta: 123_456_789_123 }).frequencies(1);
    expect(inverse[1]).toBe(Math.fround(1 / Math.fround(Math.fround(123_456_789_123) ** 0.125)));
  });
});

describe('readRope reads', () => {
  it('the part of a head that rotates from within, from the top level, or by default', () => {
    const partial = { partial: 0.5 };
    expect(rope({}, partial).rotaryDim).toBe(8);
    expect(rope({ partial_rotary_factor: 0.75 }, partial).rotaryDim).toBe(12);
    const both = { partial_rotary_factor: 0.75, rope_parameters: { partial_rotary_factor: 0.25 } };
    expect(rope(both, partial).rotaryDim).toBe(4);
    expectFrequencies(rope(both, partial), 8, { inverse: [1, 0.01] });
  });

  it('the positions of the first training at the top level before those within', () => {
    const spec = rope({ original_max_position_embeddings: 128, rope_scaling: longrope });
    expect(spec.frequencies(128).inverse[1]).toBeCloseTo(0.30116931, 7);
    expect(spec.frequencies(129).inverse[1]).toBeCloseTo(0.1756821, 7);
    expect(spec.frequencies(1).factor).toBeCloseTo(Math.sqrt(1 + 1 / 7), 6);
  });

  it('the positions of the first training as all of them where nothing says so', () => {
    const spec = rope({ rope_scaling: { ...longrope, original_max_position_embeddings: null } });
    expect(spec.frequencies(256).factor).toBe(1);
    expect(spec.frequencies(256).inverse[0]).toBe(1);
  });

  it.each([
    ['equal forms', { rope_scaling: yarn, rope_parameters: yarn }],
    [
      'a base alone in the other form',
      { rope_scaling: yarn, rope_parameters: { rope_theta: 1e4 } },
    ],
    ['the older name of a type', { rope_scaling: { ...yarn, rope_type: undefined, type: 'yarn' } }],
  ])('%s', (_name, config) => {
    expectFrequencies(rope(config), 64, { inverse: yarnInverse, factor: 1.13862944 });
  });

  it('pairs as the family has them', () => {
    expect(rope({}).pairs).toBe('halves');
    expect(rope({}, { pairs: 'adjacent' }).pairs).toBe('adjacent');
  });
});

describe('readRope refuses', () => {
  const llama3 = {
    rope_type: 'llama3',
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 64,
  };
  it.each([
    [
      { rope_scaling: { type: 'proportional' } },
      'UNSUPPORTED',
      'rope_scaling.type = "proportional"',
    ],
    [{ rope_scaling: { type: 'mrope' } }, 'UNSUPPORTED', 'rope_scaling.type = "mrope"'],
    [{ rope_parameters: { rope_type: 7 } }, 'UNSUPPORTED', 'rope_parameters.rope_type = 7'],
    [{ rope_parameters: { factor: 8 } }, 'UNSUPPORTED', 'rope_parameters.factor = 8'],
    [{ rope_scaling: { beta_fast: 32 } }, 'UNSUPPORTED', 'rope_scaling.beta_fast = 32'],
    [{ rope_scaling: { type: 'linear' } }, 'INVALID', 'rope_scaling.factor must be'],
    [{ rope_scaling: { type: 'linear', factor: 0 } }, 'INVALID', 'rope_scaling.factor must be'],
    [{ rope_scaling: { type: 'linear', factor: '4' } }, 'INVALID', 'got "4"'],
    [
      { rope_scaling: { type: 'linear', factor: 4, attention_factor: 1.2 } },
      'UNSUPPORTED',
      'rope_scaling.attention_factor = 1.2',
    ],
    [
      { rope_scaling: { type: 'dynamic', factor: 4, alpha: 1000 } },
      'UNSUPPORTED',
      'rope_scaling.alpha = 1000',
    ],
    [
      { rope_scaling: { ...yarn, llama_4_scaling_beta: 0.1 } },
      'UNSUPPORTED',
      'rope_scaling.llama_4_scaling_beta = 0.1',
    ],
    [
      { rope_scaling: { ...longrope, short_mscale: 1.2 } },
      'UNSUPPORTED',
      'rope_scaling.short_mscale = 1.2',
    ],
    [{ rope_scaling: { ...llama3, factor: null } }, 'INVALID', 'rope_scaling.factor'],
    [{ rope_scaling: { ...llama3, low_freq_factor: null } }, 'INVALID', 'low_freq_factor'],
    [{ rope_scaling: { ...llama3, high_freq_factor: 1 } }, 'INVALID', 'above low_freq_factor 1'],
    [{ rope_scaling: { ...yarn, rope_theta: 1 } }, 'INVALID', 'rope_scaling.rope_theta'],
    [{ rope_scaling: { ...yarn, truncate: 'no' } }, 'INVALID', 'rope_scaling.truncate'],
    [{ rope_scaling: { ...yarn, attention_factor: -1 } }, 'INVALID', 'attention_factor'],
    [
      { rope_scaling: { ...longrope, short_factor: [1, 2] } },
      'INVALID',
      'rope_scaling.short_factor must be 8 numbers',
    ],
    [{ rope_scaling: { ...longrope, long_factor: null } }, 'INVALID', 'rope_scaling.long_factor'],
    [
      { rope_scaling: { ...longrope, long_factor: [0, 1, 1, 1, 1, 1, 1, 1] } },
      'INVALID',
      'rope_scaling.long_factor',
    ],
    [
      { original_max_position_embeddings: 1, rope_scaling: longrope },
      'INVALID',
      'original_max_position_embeddings',
    ],
    [{ partial_rotary_factor: 0.5 }, 'UNSUPPORTED', 'partial_rotary_factor = 0.5'],
    [
      { rope_parameters: { partial_rotary_factor: 0.5 } },
      'UNSUPPORTED',
      'rope_parameters.partial_rotary_factor = 0.5',
    ],
    [
      { rope_parameters: { full_attention: { rope_theta: 1e6 } } },
      'UNSUPPORTED',
      'rope_parameters.full_attention',
    ],
    [{ rope_parameters: 'default' }, 'INVALID', 'rope_parameters must be an object'],
    [{ rope_theta: Infinity }, 'INVALID', 'rope_theta must be a number from 1 to 1000000000000'],
    [
      { rope_theta: 1e4, rope_scaling: { type: 'default' }, rope_parameters: { rope_theta: 5e5 } },
      'INVALID',
      'rope_parameters.rope_theta must be 10000',
    ],
    [
      { rope_scaling: yarn, rope_parameters: { rope_type: 'default' } },
      'INVALID',
      'rope_parameters must be the same as rope_scaling',
    ],
  ])('%j', (config, code, part) => {
    expect(refusal(() => rope(config))).toMatchObject({
      code: `MODEL_${code}_CONFIG`,
      message: expect.stringContaining(part),
    });
  });

  it('a share of a head that leaves an odd part', () => {
    expect(refusal(() => rope({ partial_rotary_factor: 0.45 }, { partial: 1 }))).toMatchObject({
      code: 'MODEL_INVALID_CONFIG',
      message: expect.stringContaining('partial_rotary_factor'),
    });
  });

  it('types that a family does not have', () => {
    const types = { default: 'default' } as const;
    expect(refusal(() => rope({ rope_scaling: yarn }, { types }))).toMatchObject({
      code: 'MODEL_UNSUPPORTED_CONFIG',
      message: 'config.json: rope_scaling.rope_type = "yarn" is not supported (only default)',
    });
  });

  it('rows beyond the positions of a dynamic one, when they come', () => {
    const spec = rope({ rope_scaling: { type: 'dynamic', factor: 2 } });
    expect(refusal(() => spec.frequencies(257))).toMatchObject({
      code: 'MODEL_UNSUPPORTED_CONFIG',
      message: expect.stringContaining('max_position_embeddings = 256 tokens, got one of 257'),
    });
  });
});

describe('readLayerRope', () => {
  const read = (config: Readonly<Record<string, unknown>>, type: 'full' | 'sliding') =>
    readLayerRope(new ConfigReader(config), `${type}_attention`, model);
  const linear = { rope_type: 'linear', factor: 8 };

  it('takes what stands under the type, null for nothing', () => {
    const config = { rope_parameters: { full_attention: linear, sliding_attention: null } };
    expect(read(config, 'full').frequencies(1).inverse[0]).toBe(0.125);
    expect(read(config, 'sliding').frequencies(1).inverse[0]).toBe(1);
  });

  it('takes the old form for layers of full attention alone', () => {
    expect(read({ rope_scaling: linear }, 'full').frequencies(1).inverse[0]).toBe(0.125);
    expect(read({ rope_scaling: linear }, 'sliding').frequencies(1).inverse[0]).toBe(1);
  });

  it.each([
    [
      { rope_parameters: { rope_type: 'linear', factor: 2 } },
      'rope_parameters.rope_type = "linear"',
    ],
    [
      { rope_parameters: { full_attention: { ...yarn, truncate: false } } },
      'rope_parameters.full_attention.truncate = false',
    ],
    [
      { rope_parameters: { full_attention: { rope_type: 'proportional' } } },
      'rope_parameters.full_attention.rope_type = "proportional"',
    ],
  ])('refuses %j', (config, part) => {
    expect(refusal(() => read(config, 'full'))).toMatchObject({
      code: 'MODEL_UNSUPPORTED_CONFIG',
      message: expect.stringContaining(part),
    });
  });

  it('refuses two forms that differ', () => {
    const config = { rope_scaling: linear, rope_parameters: { full_attention: yarn } };
    expect(refusal(() => read(config, 'full'))).toMatchObject({ code: 'MODEL_INVALID_CONFIG' });
  });
});

test('a key of any length is cut where a message names it', () => {
  const long = 'x'.repeat(1_000_000);
  expect(refusal(() => rope({ rope_parameters: { [long]: {} } }))).toMatchObject({
    code: 'MODEL_UNSUPPORTED_CONFIG',
    message: expect.stringMatching(/^config\.json: rope_parameters\.x{184}… = \{\} is not/),
  });
});
