import {
  assertScoring,
  causalMask,
  DeviceError,
  relativeReach,
  type AttentionOptions,
  type Tensor,
} from '@emloc/device';

import { expectDType, expectShape, rowsAndColumns } from '../context.js';

/**
 * Head sizes that the tensor-core kernels are compiled for; a smaller multiple of 8 is padded with
 * zeros in shared memory.
 */
const tileWidths = [32, 64, 80, 96, 128, 256] as const;
const narrowest = tileWidths[0];
/** From here on the rows of tiles that a block walks over are fewer; see attention.cuh. */
const widest = 128;
/** Rows that a block of the tensor-core kernels does. */
export const tileRows = 64;
export const tileThreads = 128;
/** Rows, one warp each, that a block of the scalar kernels does, and the largest head they do. */
export const scalarRows = 4;
export const scalarMaximum = 256;
/** The largest reach of a bias whose table a block of the tensor-core kernels holds. */
const maximumReach = 2048;

export interface AttentionProblem {
  readonly rows: number;
  readonly headDim: number;
  readonly dtype: 'float32' | 'bfloat16';
  /** Width of the tensor-core kernel to use; null for the scalar ones. */
  readonly width: number | null;
  /** Macros of the mask and the soft cap; none for causal attention without one. */
  readonly macros: readonly string[];
  /** Rows of a window; 0 where there is none. */
  readonly window: number;
}

/** How a kernel of the backward is launched. */
export interface BackwardLaunch {
  readonly unit: string;
  readonly name: string;
  readonly block: number;
  readonly sharedBytes: number;
}

/** Only the head size, the mask and the soft cap in use are compiled. */
export function unitOf(file: string, { width, macros }: AttentionProblem): string {
  return width === null
    ? ['attention-scalar', ...macros].join(':')
    : [file, `HEAD_WIDTH=${width}`, ...macros].join(':');
}

/** Of the kernels of the backward that know no mask: a unit that is soon compiled. */
export const masklessUnit = `attention-backward:HEAD_WIDTH=${narrowest}`;

/** Of the same kernels, beside those of the problem that do know one. */
export function backwardUnit(problem: AttentionProblem): string {
  return problem.width === null ? masklessUnit : unitOf('attention-backward', problem);
}

/** Two stages of keys and values, and a float32 for each distance of a bias. */
export function forwardSharedBytes(
  { width }: AttentionProblem,
  options: Pick<AttentionOptions, 'relativeBias'>,
): number {
  if (width === null) return 0;
  return rowBytes(width, 4 * stepRows(width)) + 4 * (options.relativeBias?.dim(0) ?? 0);
}

/** The largest distance of a bias by relative position; 0 where there is none. */
export function reachOf({ relativeBias }: Pick<AttentionOptions, 'relativeBias'>): number {
  return relativeBias ? (relativeBias.dim(0) - 1) / 2 : 0;
}

export function keysLaunch(problem: AttentionProblem): BackwardLaunch {
  const { width, dtype } = problem;
  const isWide = width !== null && width > widest;
  return {
    unit: unitOf(isWide ? 'attention-keys-wide' : 'attention-backward', problem),
    name: `attention_keys_${width ?? dtype}`,
    block: isWide ? 2 * tileThreads : tileThreads,
    sharedBytes: backwardSharedBytes(problem),
  };
}

export function queriesLaunch(problem: AttentionProblem): BackwardLaunch {
  const { width, dtype } = problem;
  return {
    unit: unitOf('attention-backward', problem),
    name: `attention_queries_${width ?? dtype}`,
    block: tileThreads,
    sharedBytes: backwardSharedBytes(problem),
  };
}

/** Two tiles of the block's own rows, two of a step, and two float32 a row but in wide tiles. */
function backwardSharedBytes({ width }: AttentionProblem): number {
  if (width === null) return 0;
  const tiles = rowBytes(width, 2 * tileRows + 2 * stepRows(width));
  return width > widest ? tiles : tiles + 2 * tileRows * 4;
}

function stepRows(width: number): number {
  return width > widest ? 32 : tileRows;
}

/** Rows that are 8 elements wider than the head, in bfloat16; see tile.cuh. */
function rowBytes(width: number, rows: number): number {
  return rows * (width + 8) * 2;
}

/** @throws DeviceError for operands that do not belong together, and for what has no kernel */
export function inspect(
  operation: string,
  options: AttentionOptions,
  like: readonly Tensor[],
): AttentionProblem {
  const { q, k, v, out, logSumExp, sequences, heads, kvHeads, sinks } = options;
  const [rows, columns] = rowsAndColumns(operation, q);
  const headDim = columns / heads;
  if (!Number.isInteger(headDim) || heads % kvHeads !== 0) {
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `cuda: ${operation}: ${columns} columns, ${heads} heads, ${kvHeads} key heads do not divide`,
    );
  }
  for (const tensor of [out, ...like]) expectShape(operation, tensor, [rows, columns]);
  for (const tensor of [k, v]) expectShape(operation, tensor, [rows, kvHeads * headDim]);
  if (sinks) expectShape(operation, sinks, [heads]);
  expectShape(operation, logSumExp, [heads, rows]);
  expectShape(operation, sequences.deviceOffsets, [sequences.offsets.length]);
  const operands = [k, v, out, ...(sinks ? [sinks] : []), ...like];
  const dtype = expectDType(operation, ['float32', 'bfloat16'] as const, q, ...operands);
  assertScoring(`cuda: ${operation}`, options);
  const { relativeBias } = options;
  if (relativeBias) {
    expectDType(operation, [dtype], relativeBias);
    const reach = relativeReach(`cuda: ${operation}`, relativeBias, heads);
    expectAtMost(operation, 'a bias by relative position reaches', reach, maximumReach);
  }
  return { rows, headDim, dtype, width: tileWidth(q, headDim), ...scoring(options) };
}

/** @throws DeviceError DEVICE_UNSUPPORTED for more than a kernel does */
export function expectAtMost(operation: string, what: string, count: number, most: number): void {
  if (count <= most) return;
  throw new DeviceError(
    'DEVICE_UNSUPPORTED',
    `cuda: ${operation}: ${what} ${count}, at most ${most}`,
  );
}

/** Mask, soft cap and bias as attention.cuh takes them. */
function scoring({
  mask = causalMask,
  softCap,
  relativeBias,
  sequences,
}: AttentionOptions): Pick<AttentionProblem, 'macros' | 'window'> {
  const masks = mask.kind === 'causal' ? [] : [`MASK=${mask.kind.toUpperCase()}`];
  return {
    macros: [
      ...masks,
      ...(softCap === undefined ? [] : ['SOFT_CAP=1']),
      ...(relativeBias ? ['RELATIVE_BIAS=1'] : []),
    ],
    window: mask.kind === 'window' ? Math.min(mask.window, sequences.maxLength) : 0,
  };
}

export function tileWidth(q: Tensor, headDim: number): number | null {
  return q.dtype === 'bfloat16' && headDim % 8 === 0
    ? (tileWidths.find((width) => headDim <= width) ?? null)
    : null;
}
