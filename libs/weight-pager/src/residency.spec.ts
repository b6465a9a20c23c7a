import { CyclicFuture } from './future.js';
import { Residency } from './residency.js';

describe('residency', () => {
  const future = new CyclicFuture([0, 1, 2, 3, 4], 2);

  test('evicts nothing while there is room', () => {
    const residency = new Residency([10, 10, 10, 10, 10], 20);
    residency.replace({ layer: 0, evict: [] });
    expect(residency.chooseVictims(1, () => false, future, 2)).toEqual([]);
  });

  test('evicts the farthest next use that may leave', () => {
    const residency = new Residency([10, 10, 10, 10, 10], 30);
    for (const layer of [0, 1, 2]) residency.replace({ layer, evict: [] });
    expect(residency.chooseVictims(3, () => false, future, 4)).toEqual([2]);
    expect(residency.chooseVictims(3, (layer) => layer === 2, future, 4)).toEqual([1]);
    expect(residency.chooseVictims(3, () => true, future, 4)).toBeNull();
  });

  test('spares small layers that a large victim makes unnecessary', () => {
    const residency = new Residency([30, 5, 5, 30, 10], 40);
    for (const layer of [0, 1, 2]) residency.replace({ layer, evict: [] });
    const order = new CyclicFuture([3, 0, 1, 2]);
    expect(residency.chooseVictims(3, () => false, order, 1)).toEqual([0]);
    expect([residency.bytes, [...residency.layers]]).toEqual([40, [0, 1, 2]]);
    residency.replace({ layer: 3, evict: [0] });
    expect(residency.bytes).toBe(40);
  });

  test('keeps the beginning of the order when nothing more is known', () => {
    const residency = new Residency([10, 10, 10, 10, 10], 30);
    for (const layer of [0, 1, 2]) residency.replace({ layer, evict: [] });
    expect(residency.chooseVictims(3, () => false, new CyclicFuture([3]), 1)).toEqual([2]);
  });
});

describe('cyclic future', () => {
  test('finds the next use over rounds and at the end', () => {
    const future = new CyclicFuture([4, 2, 4, 1], 3);
    expect(future.length).toBe(12);
    expect([future.layerAt(0), future.layerAt(5), future.layerAt(12), future.layerAt(-1)]).toEqual([
      4,
      2,
      undefined,
      undefined,
    ]);
    expect([
      future.nextUse(4, 0),
      future.nextUse(4, 1),
      future.nextUse(4, 3),
      future.nextUse(2, 2),
    ]).toEqual([0, 2, 4, 5]);
    expect([future.nextUse(1, 11), future.nextUse(2, 10), future.nextUse(9, 0)]).toEqual([
      11,
      Infinity,
      Infinity,
    ]);
    expect(new CyclicFuture([], Infinity).length).toBe(0);
    expect(new CyclicFuture([1, 0], Infinity).nextUse(1, 1_000_001)).toBe(1_000_002);
  });
});
