import type { LoraAdapter } from '@emloc/checkpoint';

import { lastLevelStart } from './carried-optimizer.js';

const [rank, inFeatures, outFeatures] = [3, 7, 5];

function values(seed: number, size: number): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => Math.sin(12.9 * (i + 1) ** 2 + 78.2 * seed));
}

function adapterOf(a: Float32Array, b: Float32Array): LoraAdapter {
  const layer = { a, b, inFeatures, outFeatures };
  return {
    rank,
    alpha: 3,
    useRslora: false,
    targetModules: [],
    layers: new Map([['x', layer]]),
  };
}

/** x (m, k) times y (k, n) */
function product(x: Float32Array, y: Float32Array, k: number): number[] {
  const [m, n] = [x.length / k, y.length / k];
  return Array.from({ length: m * n }, (_, at) => {
    const [row, column] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let i = 0; i < k; i += 1) sum += (x[row * k + i] ?? NaN) * (y[i * n + column] ?? NaN);
    return sum;
  });
}

const trained = adapterOf(values(1, rank * inFeatures), values(2, outFeatures * rank));
const secondMoments = [values(5, rank * inFeatures), values(6, outFeatures * rank)];

/** Of the same span as the trained one: M A. */
const mixing = values(3, rank * rank);
const a = trained.layers.get('x')?.a ?? new Float32Array();
const corrected = adapterOf(
  Float32Array.from(product(mixing, a, rank)),
  values(4, outFeatures * rank),
);

describe('the start of a last level', () => {
  it('is what correction chose, in the basis of the second moments that it goes on with', () => {
    const { adapter, carried } = lastLevelStart(corrected, {
      adapter: trained,
      steps: 12,
      secondMoments,
    });
    const [before, after] = [corrected, adapter].map(({ layers }) => layers.get('x'));
    expect(after?.a).toEqual(a);
    const empty = new Float32Array();
    const expected = product(before?.b ?? empty, before?.a ?? empty, rank);
    product(after?.b ?? empty, after?.a ?? empty, rank).forEach((value, index) =>
      expect(value).toBeCloseTo(expected[index] ?? NaN, 4),
    );
    expect(carried).toMatchObject({ steps: 12, record: { secondMoments } });
    expect(carried?.record.firstMoments.map((moments) => moments.length)).toEqual([
      rank * inFeatures,
      outFeatures * rank,
    ]);
    expect(carried?.record.firstMoments.every((all) => all.every((one) => one === 0))).toBe(true);
  });

  it('keeps the bits of an adapter that was not corrected', () => {
    const same = adapterOf(a, values(9, outFeatures * rank));
    const { adapter } = lastLevelStart(same, { adapter: trained, steps: 1, secondMoments });
    expect(adapter.layers.get('x')?.b).toEqual(same.layers.get('x')?.b);
  });

  it('has a fresh optimizer where none was kept, or rows of A depend on each other', () => {
    const fresh = { adapter: corrected, carried: null };
    expect(lastLevelStart(corrected, { adapter: trained, steps: 1, secondMoments: null })).toEqual(
      fresh,
    );
    const flat = adapterOf(
      a.map((_, i) => a[i % inFeatures] ?? NaN),
      values(2, outFeatures * rank),
    );
    expect(lastLevelStart(corrected, { adapter: flat, steps: 1, secondMoments })).toEqual(fresh);
  });
});
