import { DeviceError, type BlockCopy, type CopyBlocksOptions } from '@emloc/device';
import { matrix } from '@emloc/device-cpu';
import type { Tensor2D } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

export function copyBlocks(context: TfjsContext, { copies }: CopyBlocksOptions): void {
  for (const copy of copies) context.tf.tidy(() => copyBlock(context, copy));
}

function copyBlock(
  { tf, memory }: TfjsContext,
  { x, xColumn = 0, columns, out, outRow = 0, outColumn = 0, scale = 1 }: BlockCopy,
): void {
  const [rows, xWidth] = matrix('copyBlocks', x);
  const [outRows, outWidth] = matrix('copyBlocks', out);
  if (xColumn + columns > xWidth || outRow + rows > outRows || outColumn + columns > outWidth) {
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `copyBlocks: ${rows} x ${columns} of ${x.label} do not lie inside it and ${out.label}`,
    );
  }
  if (rows * columns === 0) return;
  const block = tf.slice(memory.float32<Tensor2D>(x), [0, xColumn], [rows, columns]);
  const scaled =
    scale === 0 ? tf.zeros([rows, columns]) : scale === 1 ? block : tf.mul(block, scale);
  const target = out.rows(outRow, outRow + rows);
  const old = memory.float32<Tensor2D>(target);
  const end = outColumn + columns;
  const parts = [
    tf.slice(old, [0, 0], [rows, outColumn]),
    scaled,
    tf.slice(old, [0, end], [rows, outWidth - end]),
  ];
  memory.write(
    target,
    tf.concat(
      parts.filter(({ size }) => size > 0),
      1,
    ),
  );
}
