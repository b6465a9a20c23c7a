import { fewestLoadedBytes } from '../test/brute-force.js';
import { randomInteger, seededRandom } from '../test/random.js';
import { PagerError } from './errors.js';
import { PagingPolicy } from './policy.js';
import type { PlannedLoad } from './residency.js';

const ascending = (count: number) => Array.from({ length: count }, (_, layer) => layer);

interface Traffic {
  loadedBytes: number;
  /** Accesses that had to load their own layer. */
  demandLoads: number;
}

/**
 * Goes through a schedule one lease at a time and checks each decision against a model of the tier.
 */
function drive(
  policy: PagingPolicy,
  layerBytes: readonly number[],
  capacityBytes: number,
  order: readonly number[],
  repeat = 1,
): Traffic {
  const resident = new Set(policy.resident);
  const traffic: Traffic = { loadedBytes: 0, demandLoads: 0 };
  let pinned: number | null = null;
  const apply = ({ layer, evict }: PlannedLoad) => {
    for (const victim of evict) {
      expect([resident.delete(victim), victim === pinned]).toEqual([true, false]);
    }
    expect(resident.has(layer)).toBe(false);
    resident.add(layer);
    traffic.loadedBytes += layerBytes[layer] ?? 0;
    const bytes = [...resident].reduce((sum, each) => sum + (layerBytes[each] ?? 0), 0);
    expect(bytes).toBeLessThanOrEqual(capacityBytes);
  };
  policy.schedule(order, repeat).forEach(apply);
  for (let position = 0; position < order.length * repeat; position += 1) {
    const layer = order[position % order.length] as number;
    const step = policy.access(layer);
    expect(step.hit).toBe(resident.has(layer));
    if (step.load !== null) apply({ layer: step.load, evict: step.evict });
    if (!step.hit) traffic.demandLoads += 1;
    pinned = layer;
    step.prefetch.forEach(apply);
    pinned = null;
    policy.release(layer).forEach(apply);
    expect(new Set(policy.resident)).toEqual(resident);
  }
  return traffic;
}

function run(
  layerBytes: readonly number[],
  capacityBytes: number,
  order: readonly number[],
  repeat = 1,
): Traffic {
  return drive(
    new PagingPolicy({ layerBytes, capacityBytes }),
    layerBytes,
    capacityBytes,
    order,
    repeat,
  );
}

describe('paging policy', () => {
  test.each([
    [3, 2],
    [4, 2],
    [4, 3],
    [5, 2],
    [5, 3],
    [5, 4],
    [6, 3],
    [6, 4],
    [6, 5],
  ])('loads as little as possible for %i layers in a cycle with room for %i', (layers, slots) => {
    const sizes = ascending(layers).map(() => 1);
    const accesses = Array.from({ length: 4 }, () => ascending(layers)).flat();
    const prefetched = run(sizes, slots, ascending(layers), 4);
    expect(prefetched.loadedBytes).toBe(fewestLoadedBytes(accesses, sizes, slots));
    expect(prefetched.demandLoads).toBe(0);
  });

  test.each([
    [4, 2],
    [5, 3],
    [6, 4],
  ])(
    'loads as little as possible for %i layers forward and backward with room for %i',
    (layers, slots) => {
      const sizes = ascending(layers).map(() => 1);
      const order = [...ascending(layers), ...ascending(layers).reverse()];
      const accesses = [...order, ...order];
      const prefetched = run(sizes, slots, order, 2);
      expect(prefetched.loadedBytes).toBe(fewestLoadedBytes(accesses, sizes, slots));
      expect(prefetched.demandLoads).toBe(0);
    },
  );

  test('loads as little as possible for random orders of equal layers', () => {
    for (let seed = 0; seed < 300; seed += 1) {
      const random = seededRandom(seed);
      const layers = randomInteger(random, 2, 6);
      const slots = randomInteger(random, 2, layers);
      const sizes = ascending(layers).map(() => 1);
      const order = Array.from({ length: randomInteger(random, 1, 14) }, () =>
        randomInteger(random, 0, layers - 1),
      );
      const prefetched = run(sizes, slots, order);
      expect([seed, prefetched.loadedBytes]).toEqual([
        seed,
        fewestLoadedBytes(order, sizes, slots),
      ]);
      expect([seed, prefetched.demandLoads]).toEqual([seed, 0]);
    }
  });

  test('keeps to capacity and pins with layers of different sizes', () => {
    for (let seed = 0; seed < 300; seed += 1) {
      const random = seededRandom(1000 + seed);
      const layers = randomInteger(random, 1, 9);
      const sizes = ascending(layers).map(() => randomInteger(random, 1, 20));
      const capacityBytes = Math.max(...sizes) + randomInteger(random, 0, 60);
      const order = Array.from({ length: randomInteger(random, 1, 12) }, () =>
        randomInteger(random, 0, layers - 1),
      );
      run(sizes, capacityBytes, order, randomInteger(random, 1, 3));
    }
  });

  test('what fits is loaded once, ahead of its use', () => {
    const traffic = run([1, 2, 3], 6, [0, 1, 2, 2, 1, 0], 5);
    expect(traffic).toEqual({ loadedBytes: 6, demandLoads: 0 });
  });

  test('starts a load as soon as its victim is done with', () => {
    const policy = new PagingPolicy({ layerBytes: [1, 1, 1, 1], capacityBytes: 2 });
    expect(policy.schedule([0, 1, 2, 3])).toEqual([
      { layer: 0, evict: [] },
      { layer: 1, evict: [] },
    ]);
    expect(policy.access(0)).toEqual({ hit: true, evict: [], load: null, prefetch: [] });
    expect(policy.release(0)).toEqual([{ layer: 2, evict: [0] }]);
    expect(policy.access(1).prefetch).toEqual([]);
    expect(policy.release(1)).toEqual([{ layer: 3, evict: [1] }]);
  });

  test('starts a load during the access before it when leases overlap', () => {
    const policy = new PagingPolicy({ layerBytes: [1, 1, 1, 1], capacityBytes: 2 });
    policy.schedule([0, 1, 2, 3]);
    policy.access(0);
    policy.access(1);
    expect(policy.release(0)).toEqual([{ layer: 2, evict: [0] }]);
    expect(policy.release(1)).toEqual([{ layer: 3, evict: [1] }]);
  });

  test('without a schedule the least recently used layer leaves and nothing is prefetched', () => {
    const policy = new PagingPolicy({ layerBytes: [1, 1, 1, 1], capacityBytes: 2 });
    const use = (layer: number) => {
      const step = policy.access(layer);
      expect([...step.prefetch, ...policy.release(layer)]).toEqual([]);
      return step.evict;
    };
    expect([0, 1, 0, 2, 0, 3, 1].map(use)).toEqual([[], [], [], [1], [], [2], [0]]);
  });

  test('an access outside the schedule names both layers and changes nothing', () => {
    const policy = new PagingPolicy({ layerBytes: [1, 1, 1], capacityBytes: 2 });
    policy.schedule([0, 2]);
    const before = [...policy.resident];
    expect(() => policy.access(1)).toThrow(
      'pager: layer 1 was acquired, but the schedule has layer 0 at position 0',
    );
    expect([...policy.resident]).toEqual(before);
    for (const layer of [0, 2]) {
      policy.access(layer);
      policy.release(layer);
    }
    expect(() => policy.access(0)).toThrow(
      'pager: layer 0 was acquired, but the schedule ended after 2 accesses',
    );
    policy.schedule([]);
    expect(policy.access(1).load).toBe(1);
  });

  test('a layer that cannot fit is refused with what is unpinned', () => {
    const MiB = 2 ** 20;
    const policy = new PagingPolicy({
      layerBytes: [500 * MiB, 64 * MiB],
      capacityBytes: 512 * MiB,
    });
    policy.access(0);
    const refusal =
      'pager: layer 1 needs 64.00 MiB, 12.00 MiB of the 512.00 MiB budget is unpinned';
    expect(() => policy.access(1)).toThrow(refusal);
    expect(() => policy.access(1)).toThrow(PagerError);
    policy.release(0);
    expect(policy.access(1)).toMatchObject({ evict: [0], load: 1 });
  });

  test('layers and repetitions are checked', () => {
    const policy = new PagingPolicy({ layerBytes: [1, 1], capacityBytes: 2 });
    expect(() => policy.schedule([0, 2])).toThrow('pager: layer 2 of a source with 2 layers');
    expect(() => policy.access(-1)).toThrow(
      expect.objectContaining({ code: 'PAGER_UNKNOWN_LAYER' }),
    );
    expect(() => policy.schedule([0], 0)).toThrow(
      expect.objectContaining({ code: 'PAGER_INVALID_OPTIONS' }),
    );
  });

  test('forecasts exactly the loads that follow', () => {
    for (let seed = 0; seed < 200; seed += 1) {
      const random = seededRandom(seed);
      const layers = randomInteger(random, 2, 7);
      const layerBytes = ascending(layers).map(() => randomInteger(random, 5, 9));
      const policy = new PagingPolicy({ layerBytes, capacityBytes: randomInteger(random, 18, 40) });
      const order = Array.from({ length: randomInteger(random, 1, 10) }, () =>
        randomInteger(random, 0, layers - 1),
      );
      const loads = policy.schedule(order).map(({ layer }) => layer);
      const forecast = [...loads, ...(policy.forecastLoads() ?? [])];
      for (const layer of order) {
        const step = policy.access(layer);
        if (step.load !== null) loads.push(step.load);
        loads.push(
          ...step.prefetch.map((planned) => planned.layer),
          ...policy.release(layer).map((planned) => planned.layer),
        );
      }
      expect([seed, loads]).toEqual([seed, forecast]);
    }
  });
});
