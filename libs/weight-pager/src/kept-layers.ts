import { at } from '@emloc/checked';

import { CyclicFuture } from './future.js';
import { forecastLoads, Residency } from './residency.js';

/** A tier that layers take turns on. */
interface Tier {
  readonly layerBytes: readonly number[];
  readonly capacityBytes: number;
}

/** Of so many layers every choice is tried. */
const mostLarge = 4;

/**
 * Layers that had better stay where an order is gone through again and again and not all of it
 * fits. Belady's rule is the best for layers of one size; a much larger one, such as a table of
 * embeddings, it would have leave for want of a few bytes, where a few small ones would do. So all
 * choices of the largest are tried, and the one that copies the fewest bytes a round is taken, of
 * equals the one that keeps fewest.
 * @param repeat rounds; of one alone nothing is kept
 */
export function keptLayers(
  tier: Tier,
  order: readonly number[],
  repeat: number,
): ReadonlySet<number> {
  const layers = [...new Set(order)];
  const sizes = layers.map((layer) => at(tier.layerBytes, layer)).sort((a, b) => a - b);
  const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
  if (repeat < 2 || total <= tier.capacityBytes) return new Set();
  const usual = at(sizes, sizes.length >> 1);
  const large = layers
    .filter((layer) => at(tier.layerBytes, layer) > 2 * usual)
    .sort((a, b) => at(tier.layerBytes, b) - at(tier.layerBytes, a));
  const choices = subsets(large.slice(0, mostLarge)).sort((a, b) => a.length - b.length);
  let best = { kept: at(choices, 0), bytes: Number.POSITIVE_INFINITY };
  for (const kept of choices) {
    const bytes = bytesPerRound(tier, order, kept);
    if (bytes < best.bytes) best = { kept, bytes };
  }
  return new Set(best.kept);
}

/** What a round loads once the first two are over. */
function bytesPerRound(
  { layerBytes, capacityBytes }: Tier,
  order: readonly number[],
  kept: readonly number[],
): number {
  const residency = new Residency(layerBytes, capacityBytes);
  residency.keep(new Set(kept));
  const future = new CyclicFuture(order, Number.POSITIVE_INFINITY);
  const loadedIn = (rounds: number): number =>
    forecastLoads(residency, { future, from: 0, until: rounds * order.length }).reduce(
      (sum, layer) => sum + at(layerBytes, layer),
      0,
    );
  return loadedIn(3) - loadedIn(2);
}

function subsets(values: readonly number[]): number[][] {
  return values.reduce<number[][]>(
    (sets, value) => [...sets, ...sets.map((set) => [...set, value])],
    [[]],
  );
}
