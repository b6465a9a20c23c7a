import { assertSequences, assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probeRows, probeSequences } from '../probe.js';
import type { SequenceLayout } from '../sequence-layout.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * out[i] = x[i] · (1 + scale[s]) + shift[s] for every row i of sequence s: what an adaptive
 * normalisation does after it.
 */
export interface ModulateOptions {
  /** (N, d) */
  readonly x: Tensor;
  /** (S, d) */
  readonly scale: Tensor;
  /** (S, d) */
  readonly shift: Tensor;
  readonly sequences: SequenceLayout;
  /** (N, d). May be `x`. */
  readonly out: Tensor;
}

export interface ModulateBackwardOptions {
  readonly dOut: Tensor;
  readonly x: Tensor;
  readonly scale: Tensor;
  readonly sequences: SequenceLayout;
  /** (N, d): dOut · (1 + scale); added to when `accumulate`. Neither `dOut` nor `x`. */
  readonly dX: Tensor;
  readonly accumulate?: boolean;
  /** (S, d), overwritten: Σ dOut · x over the rows of a sequence, in float32 and a fixed order. */
  readonly dScale?: Tensor | null;
  /** (S, d), overwritten: Σ dOut, likewise. */
  readonly dShift?: Tensor | null;
}

export const modulate: LaunchedKernel<ModulateOptions> = {
  work({ x, scale, shift, sequences, out }) {
    const [rows, columns] = matrix('modulate', x);
    const count = assertSequences('modulate', sequences, rows);
    for (const tensor of [scale, shift]) assertShape('modulate', tensor, [count, columns]);
    assertShape('modulate', out, x.shape);
    return streaming(x, 2, [x, scale, shift, out]);
  },
  probe: {
    boundBy: 'memory',
    prepare: (operands, shape) => {
      const size = [probeRows(shape), shape.hiddenSize];
      const [x, out] = [operands.tensor(size), operands.tensor(size)];
      const perSequence = [shape.sequences, shape.hiddenSize];
      const [scale, shift] = [operands.tensor(perSequence), operands.tensor(perSequence)];
      return { options: { x, scale, shift, sequences: probeSequences(operands, shape), out } };
    },
  },
};

export const modulateBackward: LaunchedKernel<ModulateBackwardOptions> = {
  work({ dOut, x, scale, sequences, dX, accumulate, dScale = null, dShift = null }) {
    const [rows, columns] = matrix('modulateBackward', x);
    const count = assertSequences('modulateBackward', sequences, rows);
    const sums = [dScale, dShift].filter((tensor) => tensor !== null);
    for (const tensor of [scale, ...sums])
      assertShape('modulateBackward', tensor, [count, columns]);
    for (const tensor of [dOut, dX]) assertShape('modulateBackward', tensor, x.shape);
    const operands = [
      dOut,
      scale,
      dX,
      ...(accumulate ? [dX] : []),
      ...(dScale ? [x] : []),
      ...sums,
    ];
    return streaming(x, 2 + 2 * sums.length, operands);
  },
};
