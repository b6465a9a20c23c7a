import { at } from '@emloc/checked';

import { assertLive } from './checks.js';
import { DeviceError } from './errors.js';
import type { SequenceLayout } from './sequence-layout.js';
import type { Tensor } from './tensor.js';

/**
 * Which rows of its own sequence a row attends to: those up to itself, all of them, or the last
 * `window` of those up to itself: row i to j with i − window < j ≤ i.
 */
export type AttentionMask =
  | { readonly kind: 'causal' }
  | { readonly kind: 'none' }
  | { readonly kind: 'window'; readonly window: number };

export const causalMask: AttentionMask = Object.freeze({ kind: 'causal' });

/** Rows [first, end) of a sequence of `length` rows. */
export interface RowRange {
  readonly first: number;
  readonly end: number;
}

/** The keys that some of the queries [first, end) of a sequence attend to; without gaps. */
export function attendedKeys(
  mask: AttentionMask,
  { first, end }: RowRange,
  length: number,
): RowRange {
  if (mask.kind === 'none') return { first: 0, end: length };
  return { first: mask.kind === 'window' ? Math.max(0, first - mask.window + 1) : 0, end };
}

/** Pairs of a query and a key that it attends to, over all sequences. */
export function attendedPairs(
  { offsets }: SequenceLayout,
  mask: AttentionMask = causalMask,
): number {
  let pairs = 0;
  for (let i = 1; i < offsets.length; i += 1)
    pairs += sequencePairs(at(offsets, i) - at(offsets, i - 1), mask);
  return pairs;
}

function sequencePairs(length: number, mask: AttentionMask): number {
  if (mask.kind === 'none') return length ** 2;
  const rising = mask.kind === 'window' ? Math.min(mask.window, length) : length;
  return (rising * (rising + 1)) / 2 + (length - rising) * rising;
}

/**
 * @throws DeviceError DEVICE_UNSUPPORTED unless a window has at least one row and a soft cap is a
 * positive number
 */
export function assertScoring(
  kernel: string,
  { mask = causalMask, softCap = 1 }: { readonly mask?: AttentionMask; readonly softCap?: number },
): void {
  if (mask.kind === 'window' && !(Number.isInteger(mask.window) && mask.window >= 1))
    throw new DeviceError(
      'DEVICE_UNSUPPORTED',
      `${kernel}: a window of ${mask.window} rows, a whole number of at least 1 expected`,
    );
  if (!(softCap > 0 && Number.isFinite(softCap)))
    throw new DeviceError(
      'DEVICE_UNSUPPORTED',
      `${kernel}: a soft cap of ${softCap}, a positive number expected`,
    );
}

/**
 * The largest distance that a bias by relative position tells apart.
 * @throws DeviceError DEVICE_SHAPE_MISMATCH unless it has an odd number of rows, of `heads` columns
 */
export function relativeReach(kernel: string, bias: Tensor, heads: number): number {
  const [entries = 0, columns] = bias.shape;
  assertLive(bias);
  if (bias.shape.length === 2 && columns === heads && entries % 2 === 1) return (entries - 1) / 2;
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `${kernel}: ${bias.label} has shape [${bias.shape.join(', ')}], an odd number of rows of ${heads} expected`,
  );
}
