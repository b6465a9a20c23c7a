import { assertShape, lastExtent } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probeRows } from '../probe.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * out = (x − mean) / sqrt(variance + epsilon) · weight + bias over the last dimension, the variance
 * biased and computed about the mean: exact for rows with a large mean.
 */
export interface LayerNormOptions {
  /** (N, d) */
  readonly x: Tensor;
  /** (d); null: all ones. */
  readonly weight: Tensor | null;
  /** (d); null: zeros. */
  readonly bias: Tensor | null;
  readonly epsilon: number;
  /** (N, d) */
  readonly out: Tensor;
  /** (N) float32, for the backward. */
  readonly mean: Tensor;
  /** (N) float32: 1 / sqrt(variance + epsilon), for the backward. */
  readonly inverseStd: Tensor;
}

/** dX of layerNorm; weight and bias are frozen and have none. */
export interface LayerNormBackwardOptions {
  readonly dOut: Tensor;
  readonly x: Tensor;
  readonly weight: Tensor | null;
  readonly mean: Tensor;
  readonly inverseStd: Tensor;
  /** (N, d); added to when `accumulate`. May be `dOut`. */
  readonly dX: Tensor;
  readonly accumulate?: boolean;
}

export const layerNorm: LaunchedKernel<LayerNormOptions> = {
  work({ x, weight, bias, out, mean, inverseStd }) {
    const parameters = [weight, bias].filter((tensor) => tensor !== null);
    for (const parameter of parameters) assertShape('layerNorm', parameter, [lastExtent(x)]);
    assertShape('layerNorm', out, x.shape);
    assertShape('layerNorm', mean, x.shape.slice(0, -1));
    assertShape('layerNorm', inverseStd, x.shape.slice(0, -1));
    return streaming(x, 7, [x, ...parameters, out, mean, inverseStd]);
  },
  probe: {
    boundBy: 'memory',
    prepare: ({ tensor }, shape) => {
      const [rows, width] = [probeRows(shape), shape.hiddenSize];
      const [x, out] = [tensor([rows, width]), tensor([rows, width])];
      const [weight, bias] = [tensor([width]), tensor([width])];
      const [mean, inverseStd] = [tensor([rows], 'float32'), tensor([rows], 'float32')];
      return { options: { x, weight, bias, epsilon: 1e-6, out, mean, inverseStd } };
    },
  },
};

export const layerNormBackward: LaunchedKernel<LayerNormBackwardOptions> = {
  work({ dOut, x, weight, mean, inverseStd, dX, accumulate }) {
    const parameters = weight ? [weight] : [];
    for (const parameter of parameters)
      assertShape('layerNormBackward', parameter, [lastExtent(x)]);
    assertShape('layerNormBackward', dOut, x.shape);
    assertShape('layerNormBackward', dX, x.shape);
    assertShape('layerNormBackward', mean, x.shape.slice(0, -1));
    assertShape('layerNormBackward', inverseStd, x.shape.slice(0, -1));
    const read = [dOut, x, ...parameters, mean, inverseStd];
    return streaming(x, 12, [...read, dX, ...(accumulate ? [dX] : [])]);
  },
};
