import { assertShape, lastExtent } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probeRows } from '../probe.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/** out = x / sqrt(mean(x²) + epsilon) · weight over the last dimension. */
export interface RmsNormOptions {
  /** (N, d) */
  readonly x: Tensor;
  /** (d) */
  readonly weight: Tensor;
  readonly epsilon: number;
  /** (N, d) */
  readonly out: Tensor;
  /** (N) float32: 1 / sqrt(mean(x²) + epsilon), for the backward. */
  readonly inverseRms: Tensor;
}

/** dX of rmsNorm; the weight is frozen and has none. */
export interface RmsNormBackwardOptions {
  readonly dOut: Tensor;
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly inverseRms: Tensor;
  /** (N, d); added to when `accumulate`. */
  readonly dX: Tensor;
  readonly accumulate?: boolean;
  /** (N, d): the forward's output once more, where it is wanted. */
  readonly out?: Tensor;
}

export const rmsNorm: LaunchedKernel<RmsNormOptions> = {
  work({ x, weight, out, inverseRms }) {
    assertShape('rmsNorm', weight, [lastExtent(x)]);
    assertShape('rmsNorm', out, x.shape);
    assertShape('rmsNorm', inverseRms, x.shape.slice(0, -1));
    return streaming(x, 4, [x, weight, out, inverseRms]);
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
    assertShape('rmsNormBackward', weight, [lastExtent(x)]);
    assertShape('rmsNormBackward', dOut, x.shape);
    assertShape('rmsNormBackward', dX, x.shape);
    assertShape('rmsNormBackward', inverseRms, x.shape.slice(0, -1));
    if (out) assertShape('rmsNormBackward', out, x.shape);
    return streaming(x, 8, [
      dOut,
      x,
      weight,
      inverseRms,
      dX,
      ...(accumulate ? [dX] : []),
      ...(out ? [out] : []),
    ]);
  },
};
