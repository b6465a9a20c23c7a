/**
 * Threads for a row: whole warps, no more than the row has accesses. It depends on the row's length
 * alone, so sums keep their order.
 */
export function blockFor(columns: number, width: number, maximum = 512): number {
  return Math.min(maximum, Math.max(32, Math.ceil(columns / width / 32) * 32));
}
