import type { Tensor } from '@emloc/device';

import { multiply } from './eigenproblem.js';
import { openPencil, traceOfProduct, type Pencil, type WeightProblem } from './pencil.js';
import { project } from './project.js';
import type { Solved } from './solved.js';
import type { Solver } from './solver.js';
import { topOfSpectrum } from './subspace.js';
import { diagonalOf, shiftDiagonal } from './symmetric.js';
import { missedTolerance } from './tolerance.js';
import { sumOf } from './value-sums.js';
import { wholeSpectrum } from './whole-spectrum.js';

export interface QuickOptions {
  readonly solver: Exclude<Solver, 'full'>;
  /** What random columns are drawn from. */
  readonly seed: string;
}

/**
 * U and V of a problem in its scope's dtype, or null where their error is above the tolerance: of
 * the best there is, which is known from traces alone (`missedTolerance`).
 */
export async function solveQuickly(
  problem: WeightProblem,
  { solver, seed }: QuickOptions,
): Promise<Solved | null> {
  const { scope, rank, paddedRank } = problem;
  const pencil = await openPencil(problem);
  if (!pencil) return null;
  const top =
    solver === 'subspace'
      ? await topOfSpectrum(scope, pencil, { rank, paddedRank, seed })
      : await wholeSpectrum(scope, pencil, { rank, paddedRank });
  if (!top) return null;
  const { total } = pencil;
  const captured = top.values.reduce((sum, value) => sum + value, 0);
  const error = await squaredError(problem, pencil, top.x);
  const least = total - captured - top.missing;
  if (!(error - least <= missedTolerance(total, captured))) return null;
  const { u, v } = factorsOf(problem, pencil, top.x);
  return {
    u,
    v,
    values: top.values.map((value) => value * pencil.sUnit * pencil.metricUnit),
    relativeError: total > 0 ? Math.sqrt(Math.max(0, error) / total) : 0,
    weighted: 'v',
    usedFallback: false,
  };
}

/**
 * ‖Ô^½ (W − U V) Ĝ^½‖² of the factors that X gives, whose columns are orthonormal to within
 * rounding only: Σ λ − tr C + tr((Xᵀ N X − I) C), C = Xᵀ N S N X.
 */
async function squaredError(
  { scope, paddedRank }: WeightProblem,
  { s, metric, total }: Pencil,
  x: Tensor,
): Promise<number> {
  const { kernels } = scope.device;
  const [seen, image] = ['N X', 'S N X'].map((label) => scope.matrix(x.shape, label)) as [
    Tensor,
    Tensor,
  ];
  if (metric) kernels.gemm({ a: metric, b: x, out: seen });
  else kernels.cast({ x, out: seen });
  kernels.gemm({ a: s, b: seen, out: image });
  const [defect, kept] = ['Xᵀ N X − I', 'Xᵀ N S N X'].map((label) =>
    scope.matrix([paddedRank, paddedRank], label),
  ) as [Tensor, Tensor];
  kernels.gemm({ a: x, transposeA: true, b: seen, out: defect });
  shiftDiagonal(scope, defect, -1);
  kernels.gemm({ a: seen, transposeA: true, b: image, out: kept });
  scope.free(seen, image);
  const captured = sumOf(await diagonalOf(scope, kept));
  const error = total - captured + (await traceOfProduct(scope, defect, kept));
  scope.free(defect, kept);
  return error;
}

/** U and V of X; S, N and X are freed. */
function factorsOf(
  problem: WeightProblem,
  { s, metric, metricUnit }: Pencil,
  x: Tensor,
): { u: Tensor; v: Tensor } {
  const { scope, weight, paddedRank } = problem;
  const { kernels } = scope.device;
  const alpha = 1 / Math.sqrt(metricUnit || 1);
  scope.free(s);
  if (weight.dim(0) > weight.dim(1)) {
    const v = scope.matrix([paddedRank, weight.dim(1)], 'V');
    if (metric) kernels.gemm({ a: x, transposeA: true, b: metric, out: v, alpha: 1 / alpha });
    const u = multiply(problem, x);
    kernels.scaleBy({ x: u, out: u, factor: alpha });
    scope.free(x, ...(metric ? [metric] : []));
    return { u, v };
  }
  if (!metric) return { u: x, v: project(scope, { weight, basis: x }) };
  const basis = scope.matrix(x.shape, 'N X');
  kernels.gemm({ a: metric, b: x, out: basis, alpha: 1 / alpha });
  scope.free(metric);
  const v = project(scope, { weight, basis });
  scope.free(basis);
  kernels.scaleBy({ x, out: x, factor: alpha });
  return { u: x, v };
}
