/**
 * The fewest bytes that any policy has to load for a sequence of accesses, when each load has to be
 * there while the access before it is in use (double buffering): by dynamic programming over all
 * sets of resident layers.
 */
export function fewestLoadedBytes(
  order: readonly number[],
  layerBytes: readonly number[],
  capacityBytes: number,
): number {
  const sets = feasibleSets(layerBytes, capacityBytes);
  let costs = new Map<number, number>([[0, 0]]);
  order.forEach((layer, position) => {
    const next = order[position + 1];
    const required = (1 << layer) | (next === undefined ? 0 : 1 << next);
    const reachable = new Map<number, number>();
    for (const [before, cost] of costs) {
      for (const { set } of sets) {
        if ((set & required) !== required) continue;
        const total = cost + bytesOfSet(set & ~before, layerBytes);
        if (total < (reachable.get(set) ?? Number.POSITIVE_INFINITY)) reachable.set(set, total);
      }
    }
    costs = reachable;
  });
  return Math.min(...costs.values());
}

function feasibleSets(layerBytes: readonly number[], capacityBytes: number) {
  const all = Array.from({ length: 1 << layerBytes.length }, (_, set) => ({
    set,
    bytes: bytesOfSet(set, layerBytes),
  }));
  return all.filter(({ bytes }) => bytes <= capacityBytes);
}

function bytesOfSet(set: number, layerBytes: readonly number[]): number {
  return layerBytes.reduce((sum, bytes, layer) => sum + (set & (1 << layer) ? bytes : 0), 0);
}
