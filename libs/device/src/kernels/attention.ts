import {
  assertScoring,
  attendedPairs,
  relativeReach,
  type AttentionMask,
} from '../attention-mask.js';
import { assertCount, assertLive, assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probeRows, probeSequences, type ProbeOperands, type ProbeShape } from '../probe.js';
import type { SequenceLayout } from '../sequence-layout.js';
import type { Tensor } from '../tensor.js';
import { bytesOf } from '../work.js';

/**
 * Softmax attention within each sequence; grouped-query when kvHeads < heads. Never stores all
 * scores at once.
 */
export interface AttentionOptions {
  /** (N, heads · headDim) */
  readonly q: Tensor;
  /** (N, kvHeads · headDim) */
  readonly k: Tensor;
  readonly v: Tensor;
  readonly sequences: SequenceLayout;
  readonly heads: number;
  readonly kvHeads: number;
  /** Factor on the scores, as a rule 1 / sqrt(headDim). */
  readonly scale: number;
  /** (N, heads · headDim) */
  readonly out: Tensor;
  /** (heads, N) float32: log Σ exp(score) per query, the sink included, for the backward. */
  readonly logSumExp: Tensor;
  /** Default causal. */
  readonly mask?: AttentionMask;
  /** c > 0: a score s becomes c · tanh(s / c), after the scale and before the mask. */
  readonly softCap?: number;
  /**
   * (heads), compute dtype: one more score in each head's softmax, whose share is dropped. Frozen:
   * it has no gradient.
   */
  readonly sinks?: Tensor;
  /**
   * (2 · reach + 1, heads), compute dtype: added to the score, after the soft cap, of a query at
   * position i and a key at j is the row reach + min(max(j − i, −reach), reach). The backward has
   * no such term.
   */
  readonly relativeBias?: Tensor;
}

export interface AttentionBackwardOptions extends Omit<AttentionOptions, 'out' | 'relativeBias'> {
  readonly out: Tensor;
  readonly dOut: Tensor;
  /** Overwritten; shapes of q, k and v. */
  readonly dQ: Tensor;
  readonly dK: Tensor;
  readonly dV: Tensor;
}

/**
 * Counted by the query-key pairs: two products forward, five backward (scores again, dP, dV, dQ,
 * dK).
 */
export const attention: LaunchedKernel<AttentionOptions> = {
  work(options) {
    const headLength = checkAttention('attention', options);
    const { q, k, v, out, logSumExp, sequences, heads, mask } = options;
    return {
      flops: 4 * headLength * heads * attendedPairs(sequences, mask),
      bytes: bytesOf(q, k, v, out, logSumExp),
    };
  },
  probe: {
    boundBy: 'arithmetic',
    prepare: (operands, shape) => ({ options: probeOptions(operands, shape) }),
  },
};

export const attentionBackward: LaunchedKernel<AttentionBackwardOptions> = {
  work(options) {
    const headLength = checkAttention('attentionBackward', options);
    const { q, k, v, out, dOut, dQ, dK, dV, logSumExp, sequences, heads, mask } = options;
    assertLive(dOut, dQ, dK, dV);
    assertShape('attentionBackward', dOut, out.shape);
    assertShape('attentionBackward', dQ, q.shape);
    assertShape('attentionBackward', dK, k.shape);
    assertShape('attentionBackward', dV, v.shape);
    const bytes = bytesOf(q, k, v, out, dOut, dQ, dK, dV, logSumExp);
    return { flops: 10 * headLength * heads * attendedPairs(sequences, mask), bytes };
  },
  probe: {
    boundBy: 'arithmetic',
    prepare: (operands, shape) => {
      const options = probeOptions(operands, shape);
      const [dOut, dQ, dK, dV] = [
        operands.tensor(options.q.shape),
        operands.tensor(options.q.shape),
        operands.tensor(options.k.shape),
        operands.tensor(options.v.shape),
      ];
      return { options: { ...options, dOut, dQ, dK, dV } };
    },
  },
};

/** Operands that attention and its backward share. Returns the length of a head. */
function checkAttention(
  kernel: 'attention' | 'attentionBackward',
  options: AttentionOptions,
): number {
  const { q, k, v, out, logSumExp, sequences, heads, kvHeads, sinks } = options;
  const [rows, width] = matrix(kernel, q);
  const headLength = width / heads;
  assertLive(q, k, v, out, logSumExp, sequences.deviceOffsets, sequences.positions);
  assertShape(kernel, k, [rows, kvHeads * headLength]);
  assertShape(kernel, v, [rows, kvHeads * headLength]);
  assertShape(kernel, out, [rows, width]);
  assertShape(kernel, logSumExp, [heads, rows]);
  assertShape(kernel, sequences.deviceOffsets, [sequences.offsets.length]);
  if (sinks) assertShape(kernel, sinks, [heads]);
  assertLive(...(sinks ? [sinks] : []));
  assertScoring(kernel, options);
  if (options.relativeBias) relativeReach(kernel, options.relativeBias, heads);
  assertCount(kernel, 'last sequence offset', sequences.offsets.at(-1) ?? 0, rows);
  return headLength;
}

function probeOptions(operands: ProbeOperands, shape: ProbeShape): AttentionOptions {
  const { heads, headDim } = shape;
  const { tensor } = operands;
  const rows = probeRows(shape);
  const size = [rows, heads * headDim];
  const [q, k, v, out] = [tensor(size), tensor(size), tensor(size), tensor(size)];
  const logSumExp = tensor([heads, rows], 'float32');
  const layout = probeSequences(operands, shape);
  const scale = 1 / Math.sqrt(headDim);
  return { q, k, v, sequences: layout, heads, kvHeads: heads, scale, out, logSumExp };
}
