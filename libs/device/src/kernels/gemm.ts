import { assertLive, assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probeRows, type PreparedProbe, type ProbeOperands, type ProbeShape } from '../probe.js';
import type { Tensor } from '../tensor.js';
import { bytesOf } from '../work.js';

/**
 * out = alpha · op(a) · op(b) + bias, or out += … when `accumulate`. op transposes. All but the
 * bias are 2-D.
 */
export interface GemmOptions {
  /** (m, k), or (k, m) when `transposeA`. float32, bfloat16 or float64. */
  readonly a: Tensor;
  /** (k, n), or (n, k) when `transposeB`; dtype of `a`. */
  readonly b: Tensor;
  /**
   * (m, n); dtype of `a`, or float32 when `a` is bfloat16. Products are summed in float32 (float64
   * for float64).
   */
  readonly out: Tensor;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly alpha?: number;
  readonly accumulate?: boolean;
  /**
   * (n), added to every row; dtype of `out`. Backends see one only where their profile says that
   * they add it; for others `addBias` does.
   */
  readonly bias?: Tensor | null;
}

export const gemm: LaunchedKernel<GemmOptions> = {
  work({ a, b, out, transposeA, transposeB, accumulate, bias }) {
    assertLive(a, b, out);
    const [aRows, aColumns] = matrix('gemm', a);
    const [m, k] = transposeA ? [aColumns, aRows] : [aRows, aColumns];
    const [, n] = matrix('gemm', out);
    assertShape('gemm', b, transposeB ? [n, k] : [k, n]);
    assertShape('gemm', out, [m, n]);
    if (bias) assertShape('gemm', bias, [n]);
    const flops = 2 * m * n * k;
    const bytes = bytesOf(a, b, out) + (accumulate ? bytesOf(out) : 0);
    return a.dtype === 'float64' ? { flops, bytes, float64Flops: flops } : { flops, bytes };
  },
  probe: {
    boundBy: 'both',
    dense: (operands, shape) => productProbe(operands, shape, shape.widest.outFeatures),
    thin: (operands, shape) => productProbe(operands, shape, shape.loraRank),
  },
};

function productProbe(
  { tensor }: ProbeOperands,
  shape: ProbeShape,
  n: number,
): PreparedProbe<GemmOptions> {
  const [m, k] = [probeRows(shape), shape.widest.inFeatures];
  return {
    options: { a: tensor([m, k]), b: tensor([n, k]), transposeB: true, out: tensor([m, n]) },
  };
}
