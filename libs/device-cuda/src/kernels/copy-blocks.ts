import {
  bytesPerElement,
  DeviceError,
  type BlockCopy,
  type CopyBlocksOptions,
} from '@emloc/device';

import { addressOf, expectDType, rowsAndColumns, type CudaContext } from '../context.js';

/** COPIES and THREADS of copy-blocks.cu. */
const copiesPerLaunch = 16;
const threads = 256;
/** Of one copy: more of them keep no card busier. */
const maximumBlocks = 512;
/**
 * Elements that a thread copies at once where everything is a multiple of them: eight floats take
 * two accesses of 16 bytes.
 */
const wideElements = 8;
const wideAlignment = 32;
const dtypes = ['float32', 'bfloat16'] as const;

export function copyBlocks(context: CudaContext, { copies }: CopyBlocksOptions): void {
  const filled = copies.filter(({ x, columns }) => x.dim(0) * columns > 0);
  for (const copy of copies) check(copy);
  for (let start = 0; start < filled.length; start += copiesPerLaunch)
    launch(context, filled.slice(start, start + copiesPerLaunch));
}

/** The table of copies is a parameter of the kernel, struct Copy in copy-blocks.cu. */
function launch(context: CudaContext, copies: readonly BlockCopy[]): void {
  const { launcher } = context;
  let largest = 0;
  launcher.begin();
  for (let index = 0; index < copiesPerLaunch; index += 1) {
    const copy = copies[index];
    if (!copy)
      launcher.pointer(0).pointer(0).int32(0).int32(0).int32(0).int32(0).int32(0).float32(0);
    else largest = Math.max(largest, pack(context, copy));
  }
  launcher.launch('copy-blocks', 'copy_blocks', {
    grid: [Math.min(maximumBlocks, Math.ceil(largest / threads)), copies.length],
    block: threads,
  });
}

/** Returns how much there is to copy, in units of what a thread copies at once. */
function pack(
  context: CudaContext,
  { x, xColumn = 0, columns, out, outRow = 0, outColumn = 0, scale = 1 }: BlockCopy,
): number {
  const [rows, xWidth] = rowsAndColumns('copyBlocks', x);
  const outWidth = out.dim(1);
  const from = addressOf(context, x) + xColumn * bytesPerElement[x.dtype];
  const to = addressOf(context, out) + (outRow * outWidth + outColumn) * bytesPerElement[out.dtype];
  const isEven =
    [columns, xWidth, outWidth].every((extent) => extent % wideElements === 0) &&
    from % wideAlignment === 0 &&
    to % wideAlignment === 0;
  const kinds =
    (x.dtype === 'float32' ? 1 : 0) + (out.dtype === 'float32' ? 2 : 0) + (isEven ? 4 : 0);
  const units = isEven ? columns / wideElements : columns;
  context.launcher
    .pointer(from)
    .pointer(to)
    .int32(rows * units)
    .int32(units)
    .int32(xWidth)
    .int32(outWidth)
    .int32(kinds)
    .float32(scale);
  return rows * units;
}

function check({ x, xColumn = 0, columns, out, outRow = 0, outColumn = 0 }: BlockCopy): void {
  expectDType('copyBlocks', dtypes, x);
  expectDType('copyBlocks', dtypes, out);
  const [rows, width] = [x.dim(0), x.dim(1)];
  const [outRows, outWidth] = [out.dim(0), out.dim(1)];
  if (
    x.shape.length === 2 &&
    out.shape.length === 2 &&
    xColumn + columns <= width &&
    outRow + rows <= outRows &&
    outColumn + columns <= outWidth
  )
    return;
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `cuda: copyBlocks: ${columns} columns from ${xColumn} of ${x.label} [${x.shape.join(', ')}] to ${outRow}, ${outColumn} of ${out.label} [${out.shape.join(', ')}]`,
  );
}
