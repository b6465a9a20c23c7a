import { at } from '@emloc/checked';
import type { Device, Tensor } from '@emloc/device';

import { dampingOf, solveEigenproblem, topValues, type Solution } from './eigenproblem.js';
import { EmulatorError } from './errors.js';
import { PieceScope } from './piece-scope.js';
import { forEachConverted } from './row-chunks.js';
import type { LayerStatistic, StatisticValues } from './statistics.js';

export interface FactorizeOptions {
  readonly device: Device;
  /** W (out, in) in the compute dtype; stays the caller's. */
  readonly weight: Tensor;
  readonly statistic: LayerStatistic;
  /** Mathematical rank, at most min(in, out). */
  readonly rank: number;
  /**
   * Bytes of the pieces in which the weight is converted to the statistics dtype; 32 MiB unless
   * told otherwise.
   */
  readonly pieceBytes?: number;
}

/** W_E = U V, the rank-r matrix with the least ‖X Wᵀ − X W_Eᵀ‖_F over the calibration rows X. */
export interface Factors {
  /**
   * (out, paddedRank) in the compute dtype, category 'factors'; the caller's to dispose. Columns
   * from `rank` on are zero.
   */
  readonly u: Tensor;
  /** (paddedRank, in), likewise; rows from `rank` on are zero. */
  readonly v: Tensor;
  readonly rank: number;
  readonly paddedRank: number;
  /**
   * sqrt(Σ_{k>r} λ_k / Σ λ_k): the relative error of the layer's outputs over the calibration rows.
   */
  readonly relativeError: number;
  /** Whether the Cholesky factorisation failed and eigenvectors took its place. */
  readonly usedFallback: boolean;
}

/**
 * Factorises a weight for its inputs (ALGORITHM.md, section 2) in the device's statistics dtype.
 * What it allocates depends on shapes alone, so that the null device finds the same peak;
 * everything but u and v is freed, also when it fails.
 * @throws EmulatorError, OutOfBudgetError
 */
export async function factorize({
  device,
  weight,
  statistic,
  rank,
  pieceBytes,
}: FactorizeOptions): Promise<Factors> {
  assertProblem(weight, statistic, rank);
  const { rankMultiple } = device.profile;
  const paddedRank = Math.ceil(rank / rankMultiple) * rankMultiple;
  using scope = new PieceScope(device, `factorisation of ${weight.label}`, pieceBytes);
  const solution = await solveEigenproblem({ scope, weight, statistic, rank, paddedRank });
  const { u, v } = balancedFactors(scope, {
    weight,
    solution,
    scales: componentScales(solution, statistic, { rank, paddedRank }),
  });
  const { eigenvalues, usedFallback } = solution;
  return {
    u: scope.release(u),
    v: scope.release(v),
    rank,
    paddedRank,
    relativeError: relativeErrorOf(eigenvalues, rank),
    usedFallback,
  };
}

/** U Σ^½ and Σ^-½ Uᵀ W, rounded to the compute dtype. */
function balancedFactors(
  scope: PieceScope,
  { weight, solution, scales }: { weight: Tensor; solution: Solution; scales: Float64Array },
): { u: Tensor; v: Tensor } {
  const { kernels, profile } = scope.device;
  const { basis } = solution;
  const paddedRank = basis.dim(1);
  const inFeatures = weight.dim(1);
  const projected = scope.statistic([paddedRank, inFeatures], 'Uᵀ W');
  forEachConverted(scope, { x: weight, dtype: profile.statisticsDType }, (piece, start, end) => {
    kernels.gemm({
      a: basis.rows(start, end),
      transposeA: true,
      b: piece,
      out: projected,
      accumulate: start > 0,
    });
  });
  const v = rounded(scope, {
    x: projected,
    scales: scales.map((scale) => 1 / scale),
    along: 'rows',
    label: 'v',
  });
  const u = rounded(scope, { x: basis, scales, along: 'columns', label: 'u' });
  return { u, v };
}

/** x, scaled, in the compute dtype; x is freed. */
function rounded(
  scope: PieceScope,
  {
    x,
    scales,
    along,
    label,
  }: { x: Tensor; scales: Float64Array; along: 'rows' | 'columns'; label: string },
): Tensor {
  const { kernels, profile } = scope.device;
  const scale = scope.uploadStatistic(scales, [scales.length], 'balance');
  kernels.scale({ x, scale, along, out: x });
  scope.free(scale);
  const out = scope.allocate({
    shape: x.shape,
    dtype: profile.computeDType,
    label,
    category: 'factors',
  });
  kernels.cast({ x, out });
  scope.free(x);
  return out;
}

/**
 * Σ^½ of each component, Σ² = λ / (t / in): singular values of W weighed by its inputs at their
 * mean square. Components without weight get a small scale rather than none, since V is divided by
 * it; padding gets 1.
 */
function componentScales(
  { eigenvalues }: Solution,
  statistic: LayerStatistic,
  { rank, paddedRank }: { rank: number; paddedRank: number },
): Float64Array {
  const values = topValues(eigenvalues, rank);
  const meanSquare =
    statistic.squaredNorm > 0 ? statistic.squaredNorm / statistic.inFeatures : dampingOf(statistic);
  const largest = at(values, 0);
  const scales = new Float64Array(paddedRank).fill(1);
  if (largest > 0)
    for (const [index, value] of values.entries())
      scales[index] = (Math.max(value, 1e-16 * largest) / meanSquare) ** 0.25;
  return scales;
}

function relativeErrorOf(ascending: StatisticValues, rank: number): number {
  let tail = 0;
  let total = 0;
  for (const [index, value] of ascending.entries()) {
    const clamped = Math.max(0, value);
    total += clamped;
    if (index < ascending.length - rank) tail += clamped;
  }
  return total > 0 ? Math.sqrt(tail / total) : 0;
}

function assertProblem(
  weight: Tensor,
  { kind, features, inFeatures, matrix }: LayerStatistic,
  rank: number,
): void {
  const [out, weightIn] = [weight.dim(0), weight.dim(1)];
  const expected = kind === 'input' ? weightIn : out;
  const isOutputOfTall = kind === 'output' && out > weightIn;
  if (
    weight.shape.length !== 2 ||
    isOutputOfTall ||
    features !== expected ||
    inFeatures !== weightIn ||
    matrix.length !== features ** 2
  ) {
    throw new EmulatorError(
      'EMULATOR_SHAPE_MISMATCH',
      `factorisation of ${weight.label} [${weight.shape.join()}]: an ${kind} statistic of ${features} features over ${inFeatures} inputs does not fit it`,
    );
  }
  if (Number.isInteger(rank) && rank >= 1 && rank <= Math.min(out, weightIn)) return;
  throw new EmulatorError(
    'EMULATOR_INVALID_RANK',
    `factorisation of ${weight.label} [${weight.shape.join()}]: rank ${rank} given, 1 to ${Math.min(out, weightIn)} expected`,
  );
}
