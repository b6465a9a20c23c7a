import { assertLive, assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probePositions, probeRows } from '../probe.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * Rotary position embedding of the halves of each head (the "rotate half" layout of Hugging Face
 * checkpoints). With `inverse` it rotates back, which is its backward. `out` may be `x`.
 */
export interface RopeOptions {
  /** (N, heads · headDim) */
  readonly x: Tensor;
  readonly out: Tensor;
  /** (positions, headDim / 2) float32 */
  readonly cos: Tensor;
  readonly sin: Tensor;
  /** int32 (N) */
  readonly positions: Tensor;
  readonly heads: number;
  readonly inverse?: boolean;
}

export const rope: LaunchedKernel<RopeOptions> = {
  work({ x, out, cos, sin, positions, heads }) {
    const [rows, width] = matrix('rope', x);
    const [tableRows] = matrix('rope', cos);
    assertLive(cos, sin);
    assertShape('rope', out, x.shape);
    assertShape('rope', cos, [tableRows, width / heads / 2]);
    assertShape('rope', sin, cos.shape);
    assertShape('rope', positions, [rows]);
    return streaming(x, 3, [x, out, positions]);
  },
  probe: {
    boundBy: 'memory',
    prepare: ({ tensor, indices }, shape) => {
      const { sequenceLength, headDim, heads } = shape;
      const [size, table] = [
        [probeRows(shape), heads * headDim],
        [sequenceLength, headDim / 2],
      ];
      const [x, out] = [tensor(size), tensor(size)];
      const [cos, sin] = [tensor(table, 'float32'), tensor(table, 'float32')];
      const positions = indices(probePositions(shape));
      return { options: { x, out, cos, sin, positions, heads } };
    },
  },
};
