import { assertDivides, assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * out = scale · x / sqrt(Σ x² + epsilon) over each head; in float32 or better, rounded once.
 */
export interface L2NormOptions {
  /** (N, heads · d) */
  readonly x: Tensor;
  readonly heads: number;
  readonly epsilon: number;
  /** Default 1. */
  readonly scale?: number;
  /** (N, heads · d) */
  readonly out: Tensor;
  /** (N, heads) float32: 1 / sqrt(Σ x² + epsilon), for the backward. */
  readonly inverseNorm: Tensor;
}

/** dX of l2Norm: scale · s (dOut − x s² Σ x dOut), s = inverseNorm. */
export interface L2NormBackwardOptions {
  readonly dOut: Tensor;
  readonly x: Tensor;
  readonly heads: number;
  /** The forward's; default 1. */
  readonly scale?: number;
  readonly inverseNorm: Tensor;
  /** (N, heads · d); added to when `accumulate`. */
  readonly dX: Tensor;
  readonly accumulate?: boolean;
}

export const l2Norm: LaunchedKernel<L2NormOptions> = {
  work({ x, heads, out, inverseNorm }) {
    const [rows] = matrix('l2Norm', x);
    assertDivides('l2Norm', { name: 'heads', count: heads }, x);
    assertShape('l2Norm', out, x.shape);
    assertShape('l2Norm', inverseNorm, [rows, heads]);
    return streaming(x, 3, [x, out, inverseNorm]);
  },
};

export const l2NormBackward: LaunchedKernel<L2NormBackwardOptions> = {
  work({ dOut, x, heads, inverseNorm, dX, accumulate }) {
    const [rows] = matrix('l2NormBackward', x);
    assertDivides('l2NormBackward', { name: 'heads', count: heads }, x);
    for (const tensor of [dOut, dX]) assertShape('l2NormBackward', tensor, x.shape);
    assertShape('l2NormBackward', inverseNorm, [rows, heads]);
    return streaming(x, 6, [dOut, x, inverseNorm, dX, ...(accumulate ? [dX] : [])]);
  },
};
