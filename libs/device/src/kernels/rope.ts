import { assertAtLeast, assertLive, assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probePositions, probeRows } from '../probe.js';
import type { Tensor } from '../tensor.js';
import { bytesOf, streaming } from '../work.js';

/**
 * Rotary position embedding of the first `rotaryDim` elements of each head; the others are copied.
 * With `inverse` it rotates by the negative angle with the same tables, which is its backward, a
 * factor in the tables included. `out` may be `x`.
 */
export interface RopeOptions {
  /** (N, heads · headDim) */
  readonly x: Tensor;
  readonly out: Tensor;
  /** (positions, rotaryDim / 2) float32: the angles' cosines and sines, times a factor if any. */
  readonly cos: Tensor;
  readonly sin: Tensor;
  /** int32 (N) */
  readonly positions: Tensor;
  readonly heads: number;
  readonly inverse?: boolean;
  /** Even; default headDim. */
  readonly rotaryDim?: number;
  /**
   * What turns together. Default 'halves': i and i + rotaryDim / 2 (the "rotate half" layout of
   * Hugging Face checkpoints); 'adjacent': 2 i and 2 i + 1.
   */
  readonly pairs?: 'halves' | 'adjacent';
}

export const rope: LaunchedKernel<RopeOptions> = {
  work({ x, out, cos, sin, positions, heads, rotaryDim }) {
    const [rows, width] = matrix('rope', x);
    const [tableRows] = matrix('rope', cos);
    assertLive(cos, sin);
    assertShape('rope', out, x.shape);
    const headDim = width / heads;
    const rotated = rotaryDim ?? headDim;
    assertAtLeast('rope', x, [rows, headDim], [rows, rotated]);
    assertShape('rope', cos, [tableRows, rotated / 2]);
    assertShape('rope', sin, cos.shape);
    assertShape('rope', positions, [rows]);
    const share = rotated / headDim;
    const { bytes } = streaming(x, 0, [x, out]);
    return {
      flops: 3 * share * x.size,
      bytes: (x === out ? share : 1) * bytes + bytesOf(positions),
    };
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
