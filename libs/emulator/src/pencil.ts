import type { Tensor } from '@emloc/device';

import { dampingOf, outputStatistic, type Problem } from './eigenproblem.js';
import { dampedInputGradients, gradientDampingOf, gramOfWeight } from './loss-metric.js';
import type { PieceScope } from './piece-scope.js';
import type { GradientStatistic, StatisticValues } from './statistics.js';
import { diagonalOf, scaleAlong, shiftDiagonal } from './symmetric.js';
import { sumOf } from './value-sums.js';

/** A weight's problem, with what the loss makes of its outputs or null. */
export type WeightProblem = Problem & { readonly gradient: GradientStatistic | null };

/**
 * The eigenproblem S N x = λ x, xᵀ N x = 1, of the weight's smaller side n: the λ and factors of
 * ALGORITHM.md, sections 2 and 2b, without a root or an inverse of S or N.
 *
 * | | S | N | U | V |
 * | --- | --- | --- | --- | --- |
 * | out <= in | M̂ | I, or Ô | X | (N X)ᵀ W |
 * | out > in | Ĝ | Wᵀ W, or K̂ | W X | (N X)ᵀ |
 *
 * Both are divided by their mean eigenvalues, so that no power of them leaves float32.
 */
export interface Pencil {
  /** S / `sUnit` (n, n) */
  readonly s: Tensor;
  /** N / `metricUnit` (n, n); null: I */
  readonly metric: Tensor | null;
  readonly sUnit: number;
  readonly metricUnit: number;
  /** Σ λ of the scaled pencil. */
  readonly total: number;
}

/** The pencil of a problem in the scope's dtype; null where the dtype cannot hold it. */
export async function openPencil(problem: WeightProblem): Promise<Pencil | null> {
  const { scope, weight, statistic, gradient } = problem;
  const isTall = weight.dim(0) > weight.dim(1);
  const s = isTall ? shifted(scope, statistic, dampingOf(statistic)) : outputStatistic(problem);
  const sUnit = await toMeanOne(scope, s);
  const metric = isTall ? inputMetric(problem) : outputMetric(scope, gradient);
  const metricUnit = metric ? await toMeanOne(scope, metric) : 1;
  const isHeld = sUnit > 0 && metricUnit > 0;
  const isZero = statistic.squaredNorm === 0;
  if (!isHeld && !isZero) return null;
  const total = metric ? await traceOfProduct(scope, s, metric) : isHeld ? s.dim(0) : 0;
  return Number.isFinite(total) ? { s, metric, sUnit, metricUnit, total } : null;
}

/** N x in `out`, which is x itself where N is I. */
export function inMetric(
  scope: PieceScope,
  { metric }: Pencil,
  { x, out }: { x: Tensor; out: Tensor | null },
): Tensor {
  if (!metric || !out) return x;
  scope.device.kernels.gemm({ a: metric, b: x, out });
  return out;
}

function outputMetric(scope: PieceScope, gradient: GradientStatistic | null): Tensor | null {
  return gradient ? shifted(scope, gradient, gradientDampingOf(gradient)) : null;
}

/** Wᵀ W, or K̂. */
function inputMetric({ gradient, ...problem }: WeightProblem): Tensor {
  if (gradient) return dampedInputGradients({ ...problem, gradient });
  return gramOfWeight(problem);
}

function shifted(
  scope: PieceScope,
  { matrix, features }: { matrix: StatisticValues; features: number },
  shift: number,
): Tensor {
  const a = scope.uploadMatrix(matrix, [features, features], 'damped statistic');
  shiftDiagonal(scope, a, shift);
  return a;
}

/** Divides a by its mean eigenvalue, which is told; by nothing where that is no positive number. */
async function toMeanOne(scope: PieceScope, a: Tensor): Promise<number> {
  const n = a.dim(0);
  const mean = sumOf(await diagonalOf(scope, a)) / n;
  const isUsable = mean > 0 && Number.isFinite(mean);
  const scales = new Float64Array(n).fill(isUsable ? 1 / mean : 1);
  scaleAlong(scope, { x: a, scales, along: 'rows' });
  return isUsable ? mean : 0;
}

/** Rows of a piece of `traceOfProduct`. */
const tracePieceRows = 256;

/** tr(A B) of symmetric (n, n): the diagonals of products of rows of both. */
export async function traceOfProduct(scope: PieceScope, a: Tensor, b: Tensor): Promise<number> {
  const { kernels } = scope.device;
  const n = a.dim(0);
  const height = Math.min(n, tracePieceRows);
  const pieces = Math.floor(n / height);
  const sum = scope.matrix([height, height], 'products of rows');
  for (let piece = 0; piece < pieces; piece += 1) {
    const [start, end] = [piece * height, (piece + 1) * height];
    kernels.gemm({
      a: a.rows(start, end),
      b: b.rows(start, end),
      transposeB: true,
      out: sum,
      accumulate: piece > 0,
    });
  }
  let trace = sumOf(await diagonalOf(scope, sum));
  scope.free(sum);
  const rest = n - pieces * height;
  if (rest === 0) return trace;
  const last = scope.matrix([rest, rest], 'products of rows');
  kernels.gemm({ a: a.rows(n - rest, n), b: b.rows(n - rest, n), transposeB: true, out: last });
  trace += sumOf(await diagonalOf(scope, last));
  scope.free(last);
  return trace;
}
