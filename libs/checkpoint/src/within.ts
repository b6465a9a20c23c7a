/** Whether all values are numbers of at most this magnitude: with `Number.MAX_VALUE`, finite. */
export function areWithin(values: Float32Array, largest: number): boolean {
  // Adapters have tens of millions of values, for which callbacks and iterators take seconds.
  for (let index = 0; index < values.length; index += 1)
    if (!(Math.abs(values[index] as number) <= largest)) return false;
  return true;
}
