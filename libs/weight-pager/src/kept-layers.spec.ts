import { randomInteger, seededRandom } from '../test/random.js';
import { CyclicFuture } from './future.js';
import { keptLayers } from './kept-layers.js';
import { PagingPolicy } from './policy.js';
import { forecastLoads, Residency } from './residency.js';

/** A table, five blocks, a head: forward to the head and back to the first block. */
const layerBytes = [60, 10, 10, 10, 10, 10, 50];
const order = [0, 1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1];

function bytesOfRound(capacityBytes: number, round: number): number {
  const policy = new PagingPolicy({ layerBytes, capacityBytes });
  let loaded = 0;
  const bytesOf = (layers: readonly number[]) =>
    layers.reduce((sum, layer) => sum + (layerBytes[layer] ?? 0), 0);
  const count = (loads: readonly { readonly layer: number }[]) => {
    loaded += bytesOf(loads.map(({ layer }) => layer));
  };
  count(policy.schedule(order, round + 1));
  let before = 0;
  for (let position = 0; position < order.length * (round + 1); position += 1) {
    if (position === order.length * round) before = loaded;
    const layer = order[position % order.length] ?? 0;
    const { load, prefetch } = policy.access(layer);
    loaded += load === null ? 0 : bytesOf([load]);
    count(prefetch);
    count(policy.release(layer));
  }
  return loaded - before;
}

describe('layers that stay', () => {
  it('are the large ones where a few small ones make room', () => {
    expect([...keptLayers({ layerBytes, capacityBytes: 155 }, order, 9)].sort()).toEqual([0, 6]);
    expect(bytesOfRound(155, 4)).toBe(20);
  });

  it('are none where large ones have to leave in any case, one of them or both', () => {
    expect(keptLayers({ layerBytes, capacityBytes: 70 }, order, 9)).toEqual(new Set());
  });

  it('are none where all fit, nothing comes again, or all are of about one size', () => {
    expect(keptLayers({ layerBytes, capacityBytes: 160 }, order, 9)).toEqual(new Set());
    expect(keptLayers({ layerBytes, capacityBytes: 155 }, order, 1)).toEqual(new Set());
    const alike = { layerBytes: [20, 10, 11, 12, 13], capacityBytes: 40 };
    expect(keptLayers(alike, [0, 1, 2, 3, 4, 3, 2, 1], 9)).toEqual(new Set());
  });

  it('save a 7.6B emulator most copies of its tables for want of 50 MB', () => {
    const tier = {
      layerBytes: [1090, ...Array.from({ length: 28 }, () => 186), 1090],
      capacityBytes: 7340,
    };
    const there = [...tier.layerBytes.keys()];
    const round = [...there, ...there.slice(1, -1).reverse()];
    expect(loadedInRounds(tier, round, new Set())).toBe(6 * 2180);
    expect(loadedInRounds(tier, round, keptLayers(tier, round, 9))).toBe(6 * 372);
  });

  it('copy no more than leaving by the next use alone, whatever the sizes', () => {
    const random = seededRandom(7);
    let saved = 0;
    for (let draw = 0; draw < 200; draw += 1) {
      const blocks = Array.from({ length: randomInteger(random, 3, 9) }, () =>
        randomInteger(random, 8, 12),
      );
      const sizes = [randomInteger(random, 10, 70), ...blocks, randomInteger(random, 10, 70)];
      const there = [...sizes.keys()];
      const round = [...there, ...there.slice(1, -1).reverse()];
      const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
      const tier = { layerBytes: sizes, capacityBytes: randomInteger(random, 140, total + 20) };
      const kept = loadedInRounds(tier, round, keptLayers(tier, round, 9));
      const belady = loadedInRounds(tier, round, new Set());
      expect(kept).toBeLessThanOrEqual(belady);
      if (kept < belady) saved += 1;
    }
    expect(saved).toBeGreaterThan(10);
  });
});

/** Bytes of rounds two to seven. */
function loadedInRounds(
  { layerBytes: sizes, capacityBytes }: { layerBytes: readonly number[]; capacityBytes: number },
  round: readonly number[],
  kept: ReadonlySet<number>,
): number {
  const residency = new Residency(sizes, capacityBytes);
  residency.keep(kept);
  const future = new CyclicFuture(round, Number.POSITIVE_INFINITY);
  const until = (rounds: number): number =>
    forecastLoads(residency, { future, from: 0, until: rounds * round.length }).reduce(
      (sum, layer) => sum + (sizes[layer] ?? 0),
      0,
    );
  return until(7) - until(1);
}
