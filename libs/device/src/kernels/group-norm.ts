import { assertDivides, assertSequences, assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probeRows, probeSequences } from '../probe.js';
import type { SequenceLayout } from '../sequence-layout.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * out = act((x − mean) / sqrt(variance + epsilon) · weight + bias), mean and variance of all rows
 * of a sequence and all columns of a group; the variance biased and computed about the mean.
 */
export interface GroupNormOptions {
  /** (N, d) */
  readonly x: Tensor;
  /** Groups of neighbouring columns, equally wide. */
  readonly groups: number;
  /** (d) */
  readonly weight: Tensor;
  /** (d) */
  readonly bias: Tensor;
  readonly epsilon: number;
  readonly sequences: SequenceLayout;
  /** Default: none. */
  readonly activation?: 'silu';
  /** (N, d). May be `x`. */
  readonly out: Tensor;
}

/** Of what is timed. */
const probedColumns = 64;

export const groupNorm: LaunchedKernel<GroupNormOptions> = {
  work({ x, groups, weight, bias, sequences, out }) {
    const [rows, columns] = matrix('groupNorm', x);
    assertDivides('groupNorm', { name: 'groups', count: groups }, x);
    assertSequences('groupNorm', sequences, rows);
    for (const parameter of [weight, bias]) assertShape('groupNorm', parameter, [columns]);
    assertShape('groupNorm', out, x.shape);
    return streaming(x, 10, [x, x, weight, bias, out]);
  },
  probe: {
    boundBy: 'memory',
    prepare: (operands, shape) => {
      const size = [probeRows(shape), probedColumns];
      const [x, out] = [operands.tensor(size), operands.tensor(size)];
      const [weight, bias] = [operands.tensor([probedColumns]), operands.tensor([probedColumns])];
      const sequences = probeSequences(operands, shape);
      const norm = { groups: probedColumns / 2, epsilon: 1e-6, activation: 'silu' } as const;
      return { options: { x, weight, bias, sequences, ...norm, out } };
    },
  },
};
