import {
  deltaChunkRows,
  deltaChunks,
  DeviceError,
  type GatedDeltaRuleOptions,
  type Tensor,
} from '@emloc/device';

import { expectDType, expectShape, roundUp, rowsAndColumns } from '../context.js';
import { expectAtMost } from './attention-plan.js';

/** Widths that the tensor-core kernels are compiled for; smaller multiples of 8 are padded. */
const tileWidths = [64, 128] as const;
/** The largest key head of the scalar kernels: MOST_KEY_DIM of delta-rule-scalar.cu. */
const scalarMaximum = 256;
/** Scratch of about so many bytes exists at a time; more heads than fit take several passes. */
const passBytes = 2 ** 27;
/** A chunk's inverse and scores in bfloat16, and the running sums of its decays. */
const preparedBytes = {
  matrix: deltaChunkRows * deltaChunkRows * 2,
  sums: deltaChunkRows * 4,
} as const;
/** BACKWARD_WARPS of delta-rule-scalar.cu. */
export const scalarBackwardWarps = 16;
/** Blocks of the scalar backward, each with scratch of its own, and about the bytes of all. */
const scalarBackward = { blocks: 512, bytes: 2 ** 26 } as const;

/** What the rule and its backward share. */
type RuleOperands = Pick<
  GatedDeltaRuleOptions,
  'q' | 'k' | 'v' | 'decay' | 'strength' | 'sequences' | 'keyHeads' | 'valueHeads'
>;
type RuleShape = Pick<RuleOperands, 'q' | 'v' | 'sequences' | 'keyHeads' | 'valueHeads'>;

export interface DeltaProblem {
  readonly keyHeads: number;
  readonly valueHeads: number;
  /** Value heads of a key head. */
  readonly group: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly sequences: number;
  /** Of all sequences, and of the longest. */
  readonly chunks: number;
  readonly longest: number;
  /** Width of the tensor-core kernels to use; null for the scalar ones. */
  readonly width: (typeof tileWidths)[number] | null;
}

/** @throws DeviceError for operands that do not belong together, and for what has no kernel */
export function inspectRule(
  operation: string,
  options: RuleOperands,
  like: { readonly q?: readonly Tensor[]; readonly v: readonly Tensor[] },
): DeltaProblem & { readonly dtype: 'float32' | 'bfloat16' } {
  const { q, k, v, decay, strength, sequences, valueHeads } = options;
  const problem = problemOf(options);
  const [rows] = rowsAndColumns(operation, q);
  const { keyDim, valueDim, group } = problem;
  if (![keyDim, valueDim, group].every(Number.isInteger)) {
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `cuda: ${operation}: ${q.dim(-1)} and ${v.dim(-1)} columns, ${options.keyHeads} key heads, ${valueHeads} value heads do not divide`,
    );
  }
  for (const tensor of [k, ...(like.q ?? [])]) expectShape(operation, tensor, q.shape);
  for (const tensor of like.v) expectShape(operation, tensor, v.shape);
  for (const tensor of [decay, strength]) expectShape(operation, tensor, [rows, valueHeads]);
  expectShape(operation, sequences.deviceOffsets, [sequences.offsets.length]);
  expectDType(operation, ['int32'], sequences.deviceOffsets);
  expectDType(operation, ['float32'], decay, strength);
  const others = [k, v, ...(like.q ?? []), ...like.v];
  const dtype = expectDType(operation, ['float32', 'bfloat16'] as const, q, ...others);
  if (problem.width === null) expectAtMost(operation, 'key heads of', keyDim, scalarMaximum);
  return { ...problem, dtype };
}

function problemOf({ q, v, sequences, keyHeads, valueHeads }: RuleShape): DeltaProblem {
  const [keyDim, valueDim] = [q.dim(-1) / keyHeads, v.dim(-1) / valueHeads];
  const isTiled = q.dtype === 'bfloat16' && keyDim % 8 === 0 && valueDim % 8 === 0;
  const widest = Math.max(keyDim, valueDim);
  return {
    ...{ keyHeads, valueHeads, group: valueHeads / keyHeads, keyDim, valueDim },
    sequences: sequences.offsets.length - 1,
    chunks: deltaChunks(sequences),
    longest: Math.ceil(sequences.maxLength / deltaChunkRows),
    width: isTiled ? (tileWidths.find((width) => widest <= width) ?? null) : null,
  };
}

/** Value heads that one pass does, and where in scratch memory their parts begin, in bytes. */
export interface RulePass {
  readonly held: number;
  readonly inverses: number;
  readonly scores: number;
  readonly sums: number;
  /** Gradients of the states behind chunks; nothing in a forward. */
  readonly gradients: number;
  readonly bytes: number;
}

/** Whole key heads a pass, so that its blocks sum over all value heads of one. */
export function planPass(problem: DeltaProblem, isBackward: boolean): RulePass {
  const { chunks, group, keyHeads, keyDim, valueDim } = problem;
  const gradientBytes = isBackward ? keyDim * valueDim * 2 : 0;
  const headBytes = chunks * (2 * preparedBytes.matrix + preparedBytes.sums + gradientBytes);
  const fitting = Math.floor(passBytes / Math.max(headBytes * group, 1));
  const held = Math.max(1, Math.min(keyHeads, fitting)) * group;
  const matrices = roundUp(chunks * held * preparedBytes.matrix);
  const gradients = 2 * matrices + roundUp(chunks * held * preparedBytes.sums);
  const bytes = gradients + roundUp(chunks * held * gradientBytes);
  return { held, inverses: 0, scores: matrices, sums: 2 * matrices, gradients, bytes };
}

/** Blocks of the scalar backward and float32 values that each has for itself. */
export function planScalarBackward({ group, keyDim, valueDim, ...problem }: DeltaProblem): {
  readonly blocks: number;
  readonly bytes: number;
} {
  const traces = (scalarBackwardWarps + 2) * deltaChunkRows * keyDim;
  const blockBytes = (traces + group * keyDim * valueDim) * 4;
  const fitting = Math.max(1, Math.floor(scalarBackward.bytes / blockBytes));
  const pairs = problem.sequences * problem.keyHeads;
  const blocks = Math.min(pairs, fitting, scalarBackward.blocks);
  return { blocks, bytes: blocks * blockBytes };
}

/** Scratch bytes of `gatedDeltaRule`. */
export function gatedDeltaRuleScratchBytes(options: RuleShape): number {
  const problem = problemOf(options);
  return problem.width === null ? 0 : planPass(problem, false).bytes;
}

/** Scratch bytes of `gatedDeltaRuleBackward`. */
export function gatedDeltaRuleBackwardScratchBytes(options: RuleShape): number {
  const problem = problemOf(options);
  const plan = problem.width === null ? planScalarBackward(problem) : planPass(problem, true);
  return roundUp(plan.bytes);
}
