import { assertAtLeast, assertLive, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';

/**
 * out[outRow + i, outColumn + j] = scale · x[i, xColumn + j] for every row i of x and j < columns,
 * with conversion between float32 and bfloat16. Scale 0 writes zeros, whatever x holds.
 */
export interface BlockCopy {
  /** (n, C) */
  readonly x: Tensor;
  readonly xColumn?: number;
  readonly columns: number;
  /** (R, D) */
  readonly out: Tensor;
  readonly outRow?: number;
  readonly outColumn?: number;
  readonly scale?: number;
}

/** Copies of blocks of matrices; no element is written twice, and none that is written is read. */
export interface CopyBlocksOptions {
  readonly copies: readonly BlockCopy[];
}

export const copyBlocks: LaunchedKernel<CopyBlocksOptions> = {
  work({ copies }) {
    let elements = 0;
    for (const { x, xColumn = 0, columns, out, outRow = 0, outColumn = 0 } of copies) {
      assertLive(x, out);
      const [[rows, width], [outRows, outWidth]] = [
        matrix('copyBlocks', x),
        matrix('copyBlocks', out),
      ];
      assertAtLeast('copyBlocks', x, [rows, width], [rows, xColumn + columns]);
      assertAtLeast('copyBlocks', out, [outRows, outWidth], [outRow + rows, outColumn + columns]);
      elements += rows * columns;
    }
    return { flops: elements, bytes: 6 * elements };
  },
};
