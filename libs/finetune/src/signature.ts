import { last } from '@emloc/checked';
import type { BatchShape } from '@emloc/models';

/** A text that is equal for batches of which the same launches are made, tensors aside. */
export function signatureOf({
  layouts,
  grids,
  integers,
  values,
  ropes,
  padded,
}: BatchShape): string {
  const entries = (map: ReadonlyMap<string, unknown> | undefined) => [...(map ?? [])];
  const sizes = padded
    ? [...layouts].map(([rows, offsets]) => [rows, offsets.length, last(offsets), padded.longest])
    : layouts;
  return JSON.stringify([[...sizes], ...[grids, integers, values, ropes].map(entries)]);
}
