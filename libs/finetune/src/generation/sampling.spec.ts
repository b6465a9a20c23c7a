import { at } from '@emloc/checked';

import { finishedLogits, sampleToken, type Sampling } from './sampling.js';

const logits = Float32Array.from([0, 2, 1, -1, 2.5, Number.NEGATIVE_INFINITY]);

/** The share of draws that each token has. */
function shares(sampling: Partial<Sampling>, draws = 20_000): number[] {
  const counts = Array.from(logits, () => 0);
  for (let position = 0; position < draws; position += 1) {
    const all = { temperature: 1, topP: 1, seed: 1, ...sampling };
    const id = sampleToken(logits, all, { row: 0, position });
    counts[id] = at(counts, id) + 1;
  }
  return counts.map((count) => count / draws);
}

function softmax(values: readonly number[], temperature: number): number[] {
  const weights = values.map((value) => Math.exp(value / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

function expectNear(found: readonly number[], expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length);
  expected.forEach((share, id) => expect(Math.abs(at(found, id) - share)).toBeLessThan(0.015));
}

describe('a drawn token', () => {
  it.each([0.3, 1, 2])('has its share at temperature %d', (temperature) => {
    expectNear(shares({ temperature }), softmax([...logits], temperature));
  });

  it('is of the fewest that reach the nucleus together', () => {
    // 0.51, 0.31, 0.11: the second passes 0.7, the third 0.9.
    const two = softmax([2, 2.5], 1);
    expectNear(shares({ topP: 0.7 }), [0, at(two, 0), 0, 0, at(two, 1), 0]);
    const three = softmax([2, 1, 2.5], 1);
    expectNear(shares({ topP: 0.9 }), [0, ...three.slice(0, 2), 0, at(three, 2), 0]);
  });

  it('is the most likely one in the smallest nucleus, the first of equals', () => {
    const equal = Float32Array.from([1, 3, 3, 0]);
    for (let position = 0; position < 50; position += 1) {
      const sampling = { temperature: 1, topP: 1e-6, seed: 4 };
      expect(sampleToken(equal, sampling, { row: 2, position })).toBe(1);
    }
  });

  it('depends on seed, row and position', () => {
    const sequence = (seed: number, row: number) =>
      Array.from({ length: 40 }, (_, position) =>
        sampleToken(logits, { temperature: 3, topP: 1, seed }, { row, position }),
      ).join();
    const all = [
      [0, 0],
      [1, 0],
      [0, 1],
      [2 ** 32, 0],
    ].map(([seed = 0, row = 0]) => sequence(seed, row));
    expect(new Set(all).size).toBe(4);
    expect(sequence(1, 0)).toBe(all[1]);
  });

  it('is refused where logits are no numbers, with its place', () => {
    const sampling = { temperature: 1, topP: 1, seed: 0 };
    const draw = () =>
      sampleToken(Float32Array.of(0, Number.NaN), sampling, { row: 1, position: 4 });
    expect(draw).toThrow(expect.objectContaining({ code: 'FINETUNE_NON_FINITE' }));
    expect(draw).toThrow(/token 5 of answer 2/);
  });
});

test('logits are finished as the softmax takes them', () => {
  const spec = { vocabularySize: 2, factor: 0.5, softCap: null };
  expect([...finishedLogits([4, -2], spec)]).toEqual([2, -1]);
  const [first, second] = finishedLogits([4, -20], { ...spec, softCap: 3 });
  expect(first).toBeCloseTo(3 * Math.tanh(2 / 3), 6);
  expect(second).toBeCloseTo(3 * Math.tanh(-10 / 3), 6);
});
