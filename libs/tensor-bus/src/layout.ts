import { at } from '@emloc/checked';

import { TensorBusError } from './errors.js';
import type { OutgoingLayer, TensorHeader } from './tensor-bus.js';

/** A part of one tensor; `at` is its place in the chunk. */
interface TensorRange {
  readonly tensor: number;
  readonly offsetBytes: number;
  readonly at: number;
  readonly byteLength: number;
}

/** The tensors of a layer, end to end, cut into chunks of one size; the last may be shorter. */
export interface ChunkLayout {
  readonly totalBytes: number;
  readonly chunkCount: number;
  chunkByteLength(chunk: number): number;
  /** Where a chunk's bytes belong. */
  ranges(chunk: number): TensorRange[];
  /** The same for any bytes of the whole. */
  rangesBetween(fromByte: number, toByte: number): TensorRange[];
}

/** @param tensors in the order of the header */
export function chunkLayout(tensors: readonly TensorHeader[], chunkBytes: number): ChunkLayout {
  const starts: number[] = [];
  let totalBytes = 0;
  for (const { byteLength } of tensors) {
    starts.push(totalBytes);
    totalBytes += byteLength;
  }
  const chunkByteLength = (chunk: number): number =>
    Math.min(chunkBytes, totalBytes - chunk * chunkBytes);
  return {
    totalBytes,
    chunkCount: Math.ceil(totalBytes / chunkBytes),
    chunkByteLength,
    rangesBetween: (fromByte, toByte) => rangesBetween(tensors, starts, fromByte, toByte),
    ranges: (chunk) =>
      rangesBetween(
        tensors,
        starts,
        chunk * chunkBytes,
        chunk * chunkBytes + chunkByteLength(chunk),
      ),
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

const channelPattern = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const maxTensors = 4096;

/** @throws TensorBusError TENSOR_BUS_INVALID */
export function assertChannel(channel: string): void {
  if (!channelPattern.test(channel))
    throw new TensorBusError(
      'TENSOR_BUS_INVALID',
      `tensor bus: '${channel.slice(0, 80)}' is not a channel: tokens of A-Z a-z 0-9 _ - joined by dots`,
    );
}

/** @throws TensorBusError TENSOR_BUS_INVALID */
export function assertLayer({
  channel,
  layer,
  tensors,
}: Pick<OutgoingLayer, 'channel' | 'layer'> & { tensors: readonly TensorHeader[] }): void {
  assertChannel(channel);
  if (!Number.isInteger(layer) || layer < 0)
    throw new TensorBusError(
      'TENSOR_BUS_INVALID',
      `tensor bus: ${channel}: layer ${layer} is not a whole number from 0 on`,
    );
  if (tensors.length > maxTensors)
    throw new TensorBusError(
      'TENSOR_BUS_INVALID',
      `tensor bus: ${channel}: layer ${layer} has ${tensors.length} tensors, the limit is ${maxTensors}`,
    );
  for (const { name, byteLength } of tensors) {
    if (!Number.isSafeInteger(byteLength) || byteLength < 0)
      throw new TensorBusError(
        'TENSOR_BUS_INVALID',
        `tensor bus: ${channel}: layer ${layer}: ${name} has ${byteLength} bytes`,
      );
  }
}
