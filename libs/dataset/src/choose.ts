import { createRandom } from './random.js';

/**
 * `count` of the numbers below `total`, or all where there are no more, by the stream of random
 * numbers that seed and name stand for.
 */
export function choose(
  total: number,
  count: number,
  { seed, name }: { readonly seed: number; readonly name: string },
): ReadonlySet<number> {
  const order = createRandom(seed, name).shuffle(Array.from({ length: total }, (_, row) => row));
  return new Set(order.slice(0, count));
}
