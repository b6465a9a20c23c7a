import { assertShape, lastExtent } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probeRows } from '../probe.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * out = x / sqrt(mean(x²) + epsilon) · (weightOffset + weight) over the last dimension; the sum and
 * the product in float32 or better, rounded once.
 */
export interface RmsNormOptions {
  /** (N, d) */
  readonly x: Tensor;
  /** (d); null: all ones. */
  readonly weight: Tensor | null;
  /** Default 0; 1 where a checkpoint stores how far the weight is from one. */
  readonly weightOffset?: number;
  readonly epsilon: number;
  /** (N, d). May be `x`. */
  readonly out: Tensor;
  /** (N) float32: 1 / sqrt(mean(x²) + epsilon), for the backward. */
  readonly inverseRms: Tensor;
}

/** dX of rmsNorm; the weight is frozen and has none. */
export interface RmsNormBackwardOptions {
  readonly dOut: Tensor;
  readonly x: Tensor;
  readonly weight: Tensor | null;
  readonly weightOffset?: number;
  readonly inverseRms: Tensor;
  /** (N, d); added to when `accumulate`. */
  readonly dX: Tensor;
  readonly accumulate?: boolean;
  /** (N, d): the forward's output once more, where it is wanted. */
  readonly out?: Tensor;
}

export const rmsNorm: LaunchedKernel<RmsNormOptions> = {
  work({ x, weight, out, inverseRms }) {
    if (weight) assertShape('rmsNorm', weight, [lastExtent(x)]);
    assertShape('rmsNorm', out, x.shape);
    assertShape('rmsNorm', inverseRms, x.shape.slice(0, -1));
    return streaming(x, 4, [x, ...(weight ? [weight] : []), out, inverseRms]);
  },
  probe: {
    boundBy: 'memory',
    prepare: ({ tensor }, shape) => {
      const [rows, width] = [probeRows(shape), shape.hiddenSize];
      const [x, weight, out] = [tensor([rows, width]), tensor([width]), tensor([rows, width])];
      const inverseRms = tensor([rows], 'float32');
      return { options: { x, weight, epsilon: 1e-6, out, inverseRms } };
    },
  },
};

export const rmsNormBackward: LaunchedKernel<RmsNormBackwardOptions> = {
  work({ dOut, x, weight, inverseRms, dX, accumulate, out }) {
    if (weight) assertShape('rmsNormBackward', weight, [lastExtent(x)]);
    assertShape('rmsNormBackward', dOut, x.shape);
    assertShape('rmsNormBackward', dX, x.shape);
    assertShape('rmsNormBackward', inverseRms, x.shape.slice(0, -1));
    if (out) assertShape('rmsNormBackward', out, x.shape);
    return streaming(x, 8, [
      dOut,
      x,
      ...(weight ? [weight] : []),
      inverseRms,
      dX,
      ...(accumulate ? [dX] : []),
      ...(out ? [out] : []),
    ]);
  },
};
