/**
 * Runs work of which no more than some may be going on at the same time; the rest waits for its
 * turn.
 */
export type Places = <T>(work: () => Promise<T>) => Promise<T>;

export function createPlaces(count: number): Places {
  const waiting: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      // A place goes from one to the next without being free in between.
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}
