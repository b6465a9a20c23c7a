import type { BatchShape } from '@emloc/models';

/** A text that is equal for batches of which the same launches are made, tensors aside. */
export function signatureOf({ layouts, grids, integers, values, ropes }: BatchShape): string {
  const entries = (map: ReadonlyMap<string, unknown> | undefined) => [...(map ?? [])];
  return JSON.stringify([layouts, grids, integers, values, ropes].map(entries));
}
