import { assertShape } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { quantizedLayout, type QuantizedFormat } from '../quantization.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * out = scale of its block · value of its code, for each element; in float32, rounded once to the
 * dtype of `out`. The formats are those of QuantizedFormat.
 */
export interface DequantizeOptions {
  /** (words of the layout of as many numbers as `out` has) int32: codes, then scales. */
  readonly x: Tensor;
  readonly format: QuantizedFormat;
  /** Any shape; float32 or bfloat16. */
  readonly out: Tensor;
}

export const dequantize: LaunchedKernel<DequantizeOptions> = {
  work({ x, format, out }) {
    assertShape('dequantize', x, [quantizedLayout(out.size, format).words]);
    return streaming(out, 1, [x, out]);
  },
};
