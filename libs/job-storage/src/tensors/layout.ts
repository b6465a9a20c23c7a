import { at } from '@emloc/checked';

import type { TensorHeader } from './tensor.js';

/** A part of one tensor; `at` is its place among the bytes that were asked for. */
interface TensorRange {
  readonly tensor: number;
  readonly offsetBytes: number;
  readonly at: number;
  readonly byteLength: number;
}

/** Tensors that lie end to end. */
export interface TensorLayout {
  readonly totalBytes: number;
  /** Which parts of the tensors the bytes from `fromByte` to before `toByte` are. */
  rangesBetween(fromByte: number, toByte: number): TensorRange[];
}

/** @param tensors in the order in which they lie */
export function tensorLayout(tensors: readonly TensorHeader[]): TensorLayout {
  const starts: number[] = [];
  let totalBytes = 0;
  for (const { byteLength } of tensors) {
    starts.push(totalBytes);
    totalBytes += byteLength;
  }
  return {
    totalBytes,
    rangesBetween: (fromByte, toByte) => rangesBetween(tensors, starts, fromByte, toByte),
  };
}

function rangesBetween(
  tensors: readonly TensorHeader[],
  starts: readonly number[],
  from: number,
  to: number,
): TensorRange[] {
  const ranges: TensorRange[] = [];
  for (let tensor = firstTensorAt(starts, from); tensor < tensors.length; tensor++) {
    const start = at(starts, tensor);
    if (start >= to) break;
    const begin = Math.max(start, from);
    const end = Math.min(start + at(tensors, tensor).byteLength, to);
    if (end > begin)
      ranges.push({
        tensor,
        offsetBytes: begin - start,
        at: begin - from,
        byteLength: end - begin,
      });
  }
  return ranges;
}

/** The last tensor that starts at or before a position. */
function firstTensorAt(starts: readonly number[], position: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (at(starts, middle) <= position) low = middle;
    else high = middle - 1;
  }
  // Empty tensors share their start with the next one.
  while (low > 0 && starts[low - 1] === starts[low]) low -= 1;
  return low;
}
