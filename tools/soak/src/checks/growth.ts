/**
 * Growth, told from noise. What a process holds when a job is over swings up and down with the
 * collector, but what leaks never comes back: the least of its last rounds rises. So the least of
 * the last third of a life is compared with the least of its first third, after rounds in which the
 * process warms up: the heaps of its threads fill for some twenty rounds, and then no more.
 */
const leastWarmUp = 3;
const warmUpShare = 1 / 3;
const fewest = 6;

export interface Allowance {
  /** In the unit of the values. */
  readonly absolute: number;
  /** Share of the first third's least. */
  readonly share: number;
  /** Values up to this one are all the same. */
  readonly floor: number;
}

export interface Growth {
  readonly first: number;
  readonly last: number;
  /** Null: the life was too short to tell. */
  readonly isFlat: boolean | null;
}

/** @param values of one life, in the order of the rounds; at least one */
export function growthOf(values: readonly number[], { absolute, share, floor }: Allowance): Growth {
  const warm = values.slice(Math.max(leastWarmUp, Math.floor(values.length * warmUpShare)));
  if (warm.length < fewest)
    return { first: values.at(0) ?? 0, last: values.at(-1) ?? 0, isFlat: null };
  const third = Math.floor(warm.length / 3);
  const [first, last] = [Math.min(...warm.slice(0, third)), Math.min(...warm.slice(-third))];
  const allowed = Math.max(first, floor) * (1 + share) + absolute;
  return { first, last, isFlat: last <= allowed };
}
