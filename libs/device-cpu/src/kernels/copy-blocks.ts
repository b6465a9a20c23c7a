import { DeviceError, type BlockCopy, type CopyBlocksOptions, type Tensor } from '@emloc/device';

import { matrix } from '../checks.js';
import { convert } from '../convert.js';
import { elements } from '../elements.js';

export function copyBlocks({ copies }: CopyBlocksOptions): void {
  for (const copy of copies) copyBlock(copy);
}

function copyBlock({
  x,
  xColumn = 0,
  columns,
  out,
  outRow = 0,
  outColumn = 0,
  scale = 1,
}: BlockCopy): void {
  const [rows, xWidth] = matrix('copyBlocks', x);
  const [outRows, outWidth] = matrix('copyBlocks', out);
  assertInside(x, { rows, columns: xColumn + columns });
  assertInside(out, { rows: outRow + rows, columns: outColumn + columns }, [outRows, outWidth]);
  const [source, target] = [elements(x), elements(out)];
  const row = new Float32Array(columns);
  for (let i = 0; i < rows; i += 1) {
    const from = i * xWidth + xColumn;
    convert(source.subarray(from, from + columns), x.dtype, row, 'float32');
    for (let j = 0; j < columns; j += 1) row[j] = scale === 0 ? 0 : scale * (row[j] as number);
    const to = (outRow + i) * outWidth + outColumn;
    convert(row, 'float32', target.subarray(to, to + columns), out.dtype);
  }
}

function assertInside(
  tensor: Tensor,
  needed: { rows: number; columns: number },
  [rows, columns] = matrix('copyBlocks', tensor),
): void {
  if (needed.rows <= rows && needed.columns <= columns) return;
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `copyBlocks: ${tensor.label} is ${rows} x ${columns}, at least ${needed.rows} x ${needed.columns} expected`,
  );
}
