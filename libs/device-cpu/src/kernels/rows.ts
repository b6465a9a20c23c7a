import {
  bytesPerElement,
  DeviceError,
  type EmbeddingOptions,
  type KernelName,
  type ScatterRowsOptions,
  type Tensor,
} from '@emloc/device';

import { assertIndices, assertShape, matrix } from '../checks.js';
import { int32 } from '../memory.js';

/** Any dtype: rows are copied as bytes. */
export function embedding({ table, rows, out }: EmbeddingOptions): void {
  const [limit, width] = matrix('embedding', table);
  const indices = checkRows('embedding', { table, rows, packed: out }, limit, width);
  const [source, target] = [bytesOf(table), bytesOf(out)];
  const rowBytes = width * bytesPerElement[table.dtype];
  for (let i = 0; i < indices.length; i += 1) {
    const from = (indices[i] as number) * rowBytes;
    target.set(source.subarray(from, from + rowBytes), i * rowBytes);
  }
}

/** Any dtype: rows are copied as bytes. */
export function scatterRows({ x, rows, out }: ScatterRowsOptions): void {
  const [limit, width] = matrix('scatterRows', out);
  const indices = checkRows('scatterRows', { table: out, rows, packed: x }, limit, width);
  const [source, target] = [bytesOf(x), bytesOf(out)];
  const rowBytes = width * bytesPerElement[x.dtype];
  for (let i = 0; i < indices.length; i += 1) {
    target.set(
      source.subarray(i * rowBytes, (i + 1) * rowBytes),
      (indices[i] as number) * rowBytes,
    );
  }
}

function checkRows(
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

function bytesOf(tensor: Tensor): Uint8Array {
  return new Uint8Array(
    tensor.handle as ArrayBuffer,
    tensor.elementOffset * bytesPerElement[tensor.dtype],
    tensor.byteLength,
  );
}
