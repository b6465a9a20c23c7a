export interface AheadLimits<T> {
  /** Things that are worked on before the first of them is taken. */
  readonly most: number;
  /** Of all of these together, the first apart. */
  readonly mostBytes: number;
  readonly bytesOf: (thing: T) => number;
}

/**
 * What becomes of things, in their order, while work on those behind has begun.
 * @throws what the source throws, or the work on a thing when it is that one's turn
 */
export async function* workAhead<T, R>(
  source: AsyncGenerator<T>,
  work: (thing: T) => Promise<R>,
  { most, mostBytes, bytesOf }: AheadLimits<T>,
): AsyncGenerator<R> {
  const begun: { readonly result: Promise<R>; readonly bytes: number }[] = [];
  let bytesBegun = 0;
  let isOver = false;
  try {
    for (;;) {
      while (!isOver && begun.length < most && (begun.length === 0 || bytesBegun < mostBytes)) {
        const next = await source.next();
        if (next.done === true) {
          isOver = true;
          break;
        }
        const result = work(next.value);
        // It is looked at when its turn comes.
        result.catch(() => undefined);
        const bytes = bytesOf(next.value);
        bytesBegun += bytes;
        begun.push({ result, bytes });
      }
      const first = begun.shift();
      if (!first) return;
      bytesBegun -= first.bytes;
      yield await first.result;
    }
  } finally {
    await source.return(undefined);
  }
}
