import { assertAtLeast, assertLive, assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';
import { bytesOf } from '../work.js';

/**
 * out += alpha · leftᵀ right over columns [leftColumn, leftColumn + leftColumns) of left, few of
 * them: gradients of low-rank matrices.
 */
export interface OuterProduct {
  /** (N, L) in the compute dtype */
  readonly left: Tensor;
  readonly leftColumn?: number;
  readonly leftColumns: number;
  /** (N, C) in the compute dtype */
  readonly right: Tensor;
  /** float32 (leftColumns, C), or (C, leftColumns) when `transposeOut` */
  readonly out: Tensor;
  readonly transposeOut?: boolean;
  readonly alpha?: number;
}

/** Sums over N in float32 or better. The outputs are distinct. */
export interface OuterProductsOptions {
  readonly products: readonly OuterProduct[];
}

export const outerProducts: LaunchedKernel<OuterProductsOptions> = {
  work({ products }) {
    let [flops, bytes] = [0, 0];
    for (const { left, leftColumn = 0, leftColumns, right, out, transposeOut } of products) {
      assertLive(left, right, out);
      const [[rows, width], [, columns]] = [
        matrix('outerProducts', left),
        matrix('outerProducts', right),
      ];
      assertAtLeast('outerProducts', left, [rows, width], [rows, leftColumn + leftColumns]);
      assertShape('outerProducts', right, [rows, columns]);
      assertShape(
        'outerProducts',
        out,
        transposeOut ? [columns, leftColumns] : [leftColumns, columns],
      );
      flops += 2 * rows * leftColumns * columns;
      bytes += bytesOf(right, out, out) + (leftColumns / Math.max(1, width)) * left.byteLength;
    }
    return { flops, bytes };
  },
};
