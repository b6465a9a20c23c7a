import { last } from '@emloc/checked';
import type { SequenceLayout, Tensor } from '@emloc/device';

/** Sequences of these lengths, packed; `upload` makes the int32 tensors of it. */
export function sequenceLayout(
  lengths: readonly number[],
  upload: (values: readonly number[]) => Tensor,
): SequenceLayout {
  const offsets = lengths.reduce<number[]>((sums, length) => [...sums, last(sums) + length], [0]);
  const positions = lengths.flatMap((length) => Array.from({ length }, (_, index) => index));
  return {
    offsets,
    deviceOffsets: upload(offsets),
    positions: upload(positions),
    maxLength: Math.max(...lengths),
  };
}
