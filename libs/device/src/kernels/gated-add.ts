import { assertSequences, assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probeRows, probeSequences } from '../probe.js';
import type { SequenceLayout } from '../sequence-layout.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/** out[i] += gate[s] · x[i] for every row i of sequence s. */
export interface GatedAddOptions {
  /** (N, d) */
  readonly x: Tensor;
  /** (S, d) */
  readonly gate: Tensor;
  readonly sequences: SequenceLayout;
  /** (N, d) */
  readonly out: Tensor;
}

/** What `out` was before has the gradient dOut itself. */
export interface GatedAddBackwardOptions {
  readonly dOut: Tensor;
  readonly x: Tensor;
  readonly gate: Tensor;
  readonly sequences: SequenceLayout;
  /** (N, d): dOut · gate; added to when `accumulate`. Neither `dOut` nor `x`. */
  readonly dX: Tensor;
  readonly accumulate?: boolean;
  /** (S, d), overwritten: Σ dOut · x over the rows of a sequence, in float32 and a fixed order. */
  readonly dGate?: Tensor | null;
}

export const gatedAdd: LaunchedKernel<GatedAddOptions> = {
  work({ x, gate, sequences, out }) {
    const [rows, columns] = matrix('gatedAdd', x);
    const count = assertSequences('gatedAdd', sequences, rows);
    assertShape('gatedAdd', gate, [count, columns]);
    assertShape('gatedAdd', out, x.shape);
    return streaming(x, 2, [x, gate, out, out]);
  },
  probe: {
    boundBy: 'memory',
    prepare: (operands, shape) => {
      const size = [probeRows(shape), shape.hiddenSize];
      const [x, out] = [operands.tensor(size), operands.tensor(size)];
      const gate = operands.tensor([shape.sequences, shape.hiddenSize]);
      return { options: { x, gate, sequences: probeSequences(operands, shape), out } };
    },
  },
};

export const gatedAddBackward: LaunchedKernel<GatedAddBackwardOptions> = {
  work({ dOut, x, gate, sequences, dX, accumulate, dGate = null }) {
    const [rows, columns] = matrix('gatedAddBackward', x);
    const count = assertSequences('gatedAddBackward', sequences, rows);
    for (const tensor of dGate ? [gate, dGate] : [gate])
      assertShape('gatedAddBackward', tensor, [count, columns]);
    for (const tensor of [dOut, dX]) assertShape('gatedAddBackward', tensor, x.shape);
    const operands = [dOut, gate, dX, ...(accumulate ? [dX] : []), ...(dGate ? [x, dGate] : [])];
    return streaming(x, dGate ? 4 : 2, operands);
  },
};
