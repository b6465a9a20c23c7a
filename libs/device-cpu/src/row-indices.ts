import { DeviceError, type KernelName, type Tensor } from '@emloc/device';

import { assertIndices, assertShape } from './checks.js';
import { int32 } from './memory.js';

/**
 * The rows of `table`, `limit` rows of `width`, that those of `packed` are copied from or to.
 * @throws DeviceError for other shapes or dtypes, and for a row outside the table
 */
export function checkRows(
  kernel: KernelName,
  { table, rows, packed }: { table: Tensor; rows: Tensor; packed: Tensor },
  limit: number,
  width: number,
): Int32Array {
  assertShape(kernel, packed, [rows.size, width]);
  if (packed.dtype !== table.dtype)
    throw new DeviceError(
      'DEVICE_UNSUPPORTED',
      `cpu device: ${kernel} between ${table.dtype} and ${packed.dtype}`,
    );
  const indices = int32(rows);
  assertIndices(kernel, indices, limit, rows.label);
  return indices;
}
