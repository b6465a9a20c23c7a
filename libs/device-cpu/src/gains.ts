import type { KernelName, Tensor } from '@emloc/device';

import { assertShape, rowsAndColumns } from './checks.js';
import { chunkRows, rowScratchBytes } from './chunk-buffer.js';
import { float32 } from './memory.js';
import { scratchBytes, type Scratch } from './scratch.js';

/**
 * Address of what normalised values are multiplied with, float64: offset + weight, the weight null
 * for all ones.
 * @throws DeviceError DEVICE_SHAPE_MISMATCH
 */
export function takeGains(
  scratch: Scratch,
  kernel: KernelName,
  { weight, width, offset = 0 }: { weight: Tensor | null; width: number; offset?: number },
): number {
  const address = scratch.take(width * 8);
  const gains = scratch.float64(address, width);
  if (!weight) {
    gains.fill(1 + offset);
    return address;
  }
  assertShape(kernel, weight, [width]);
  gains.set(float32(weight));
  if (offset !== 0) for (let i = 0; i < width; i += 1) gains[i] = (gains[i] as number) + offset;
  return address;
}

/**
 * Scratch bytes of a norm: its gains, chunks of rows of so many operands, and so many values of
 * each row of a chunk.
 */
export function normScratchBytes(
  x: Tensor,
  { operands, rowValues }: { readonly operands: number; readonly rowValues: number },
): number {
  const [rows, width] = rowsAndColumns(x);
  const values = rowValues * scratchBytes(chunkRows(rows, width) * 4);
  return scratchBytes(width * 8) + rowScratchBytes(rows, width, operands) + values;
}
