import {
  bfloat16Limits,
  bfloat16LimitsOf,
  compareGolden,
  float32Limits,
  type Measured,
} from './compare.js';
import { parseGolden, type Golden } from './golden.js';

const vocabulary = 4;
const logits = Float32Array.of(1, 2, 0.5, -1, 3, -2, 0, 1, 0.25, 0.5, 0.75, 2);
const gradient = Float32Array.from({ length: 40 }, (_, index) => Math.sin(index + 1));
const path = 'model.layers.0.mlp.up_proj';

const golden = makeGolden();

function makeGolden(): Golden {
  const rows = [0, 1, 2].map((row) => [
    ...logits.subarray(row * vocabulary, (row + 1) * vocabulary),
  ]);
  const norm = Math.hypot(...gradient);
  const first = [...gradient.subarray(0, 4)];
  return parseGolden({
    how: 'by hand',
    sequences: [
      {
        ids: [1, 2, 3],
        nll_mean: 5,
        logsumexp: rows.map((row) => Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))),
        argmax: [1, 0, 3],
        first_first_8: rows[0],
        last_first_32: rows[2],
      },
    ],
    lora: {
      value: 6,
      grads: { [path]: { A_norm: norm, B_norm: norm, A_first: first, B_first: first } },
    },
  });
}

function measured(
  changes: { logits?: Float32Array; loss?: number; a?: Float32Array } = {},
): Measured {
  return {
    sequences: [{ logits: changes.logits ?? logits, nllMean: 5 }],
    imageFeatures: undefined,
    lora: {
      loss: changes.loss ?? 6,
      gradients: new Map([[path, { a: changes.a ?? gradient, b: gradient }]]),
    },
  };
}

/** A copy with another value at one place. */
function withValue(values: Float32Array, index: number, value: number): Float32Array {
  const copy = values.slice();
  copy[index] = value;
  return copy;
}

const wrongPlaces = (found: Measured): readonly string[] =>
  compareGolden(golden, found).wrong.map(({ quantity, what }) => `${quantity}: ${what}`);

describe('compareGolden', () => {
  it('finds nothing wrong with the same numbers', () => {
    const { worst, wrong } = compareGolden(golden, measured());

    expect(wrong).toEqual([]);
    expect(worst.logits).toBeLessThan(1e-6);
    expect(worst.losses).toBe(0);
    expect(worst.gradients).toBeLessThan(1e-6);
  });

  it('gives relative errors of the norm', () => {
    const { worst, wrong } = compareGolden(golden, measured({ loss: 6.06 }));

    expect(worst.losses).toBeCloseTo(0.01, 6);
    expect(wrong).toEqual([{ quantity: 'losses', what: 'loss with LoRA', error: worst.losses }]);
  });

  it('names the row that is off', () => {
    expect(wrongPlaces(measured({ logits: withValue(logits, 8, 0.3) }))).toEqual([
      'logits: sequence 0, row 2',
      'logits: sequence 0, log sum exp',
    ]);
  });

  it('sees another largest logit in a row of which little else is known', () => {
    const swapped = withValue(withValue(logits, 4, -2), 5, 3);

    expect(wrongPlaces(measured({ logits: swapped }))).toEqual([
      'logits: sequence 0, largest logits',
    ]);
  });

  it('sees gradients of the right norm with wrong first values', () => {
    expect(wrongPlaces(measured({ a: gradient.map((value) => -value) }))).toEqual([
      `gradients: ${path} A`,
    ]);
  });

  it('sees gradients of another norm with the right first values', () => {
    expect(wrongPlaces(measured({ a: withValue(gradient, 30, 9) }))).toEqual([
      `gradients: ${path} A`,
    ]);
  });

  it('measures first values that happen to be small by what is usual', () => {
    const small = gradient.map((value, index) => (index < 4 ? value * 1e-7 : value));
    const norm = Math.hypot(...small);
    const golden2: Golden = {
      ...golden,
      lora: {
        loss: 6,
        gradients: new Map([
          [path, { a: { norm, first: [...small.subarray(0, 4)] }, b: { norm, first: [0, 0] } }],
        ]),
      },
    };
    const noisy = small.map((value, index) => (index < 4 ? -value : value));

    expect(
      compareGolden(golden2, {
        ...measured(),
        lora: { loss: 6, gradients: new Map([[path, { a: noisy, b: small }]]) },
      }).worst.gradients,
    ).toBeLessThan(1e-6);
  });

  it.each([
    ['a NaN among logits', { ...measured({ logits: withValue(logits, 6, Number.NaN) }) }],
    ['a NaN among gradients', { ...measured({ a: withValue(gradient, 9, Number.NaN) }) }],
    ['no gradients', { ...measured(), lora: { loss: 6, gradients: new Map() } }],
    ['no sequences', { ...measured(), sequences: [] }],
    ['rows of another sequence', { ...measured({ logits: logits.subarray(0, 8) }) }],
  ] as const)('is over every limit with %s', (_, found) => {
    const limits = { logits: 1e300, outputs: 1e300, losses: 1e300, gradients: 1e300 };

    expect(compareGolden(golden, found, limits).wrong[0]?.error).toBe(Number.POSITIVE_INFINITY);
  });

  it('has the worst by its limit first', () => {
    const found = measured({ loss: 6.001, a: gradient.map((value) => value * 1.002) });

    expect(wrongPlaces(found)).toEqual(['losses: loss with LoRA', `gradients: ${path} A`]);
    expect(compareGolden(golden, found, { ...float32Limits, losses: 1e-3 }).wrong).toHaveLength(1);
  });
});

it('allows gradients in bfloat16 twice what the golden says that rounding makes of them', () => {
  expect(bfloat16LimitsOf(golden)).toEqual(bfloat16Limits);
  expect(bfloat16LimitsOf({ ...golden, bfloat16Gradients: 0.3 }).gradients).toBeCloseTo(0.6);
  expect(bfloat16LimitsOf({ ...golden, bfloat16Gradients: 0.01 })).toEqual(bfloat16Limits);
});
