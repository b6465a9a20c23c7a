import { at } from '@emloc/checked';
import type { Device, Tensor } from '@emloc/device';

import { dampingOf, solveEigenproblem, type Problem } from './eigenproblem.js';
import { EmulatorError } from './errors.js';
import { gradientDampingOf, solveInLossMetric } from './loss-metric.js';
import { PieceScope } from './piece-scope.js';
import { project } from './project.js';
import type { GradientStatistic, LayerStatistic, StatisticValues } from './statistics.js';
import { topValues } from './symmetric.js';

export interface FactorizeOptions {
  readonly device: Device;
  /** W (out, in) in the compute dtype; stays the caller's. */
  readonly weight: Tensor;
  readonly statistic: LayerStatistic;
  /** What the loss makes of the layer's outputs; null or absent: each counts alike. */
  readonly gradient?: GradientStatistic | null;
  /** Mathematical rank, at most min(in, out). */
  readonly rank: number;
  /**
   * Bytes of the pieces in which the weight is converted to the statistics dtype; 32 MiB unless
   * told otherwise.
   */
  readonly pieceBytes?: number;
}

/**
 * W_E = U V, the rank-r matrix with the least ‖X Wᵀ − X W_Eᵀ‖_F over the calibration rows X, or
 * with gradients the least ‖Ô^½ (W − W_E) Ĝ^½‖_F. Columns of U and rows of V by falling λ: the
 * first r' are that for rank r'.
 */
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
   * sqrt(Σ_{k>r} λ_k / Σ λ_k): the relative error of the layer's outputs over the calibration rows,
   * in the metric that was asked for.
   */
  readonly relativeError: number;
  /** Whether the Cholesky factorisation failed and eigenvectors took its place. */
  readonly usedFallback: boolean;
}

/**
 * Factorises a weight for its inputs and its gradients (ALGORITHM.md, sections 2 and 2b) in the
 * device's statistics dtype. What it allocates depends on shapes alone, so that the null device
 * finds the same peak; everything but u and v is freed, also when it fails.
 * @throws EmulatorError, OutOfBudgetError
 */
export async function factorize({
  device,
  weight,
  statistic,
  gradient = null,
  rank,
  pieceBytes,
}: FactorizeOptions): Promise<Factors> {
  assertProblem(weight, statistic, rank);
  if (gradient) assertGradient(weight, gradient);
  const { rankMultiple } = device.profile;
  const paddedRank = Math.ceil(rank / rankMultiple) * rankMultiple;
  using scope = new PieceScope(device, `factorisation of ${weight.label}`, pieceBytes);
  const solved = await solve({ scope, weight, statistic, rank, paddedRank }, gradient);
  const { eigenvalues, usedFallback } = solved;
  const scales = componentScales(eigenvalues, { weight, statistic, gradient, rank, paddedRank });
  const inverses = scales.map((scale) => 1 / scale);
  const v = rounded(scope, { x: solved.v, scales: inverses, along: 'rows', label: 'v' });
  const u = rounded(scope, { x: solved.u, scales, along: 'columns', label: 'u' });
  return {
    u: scope.release(u),
    v: scope.release(v),
    rank,
    paddedRank,
    relativeError: relativeErrorOf(eigenvalues, rank),
    usedFallback,
  };
}

/** U and V before they are balanced, in the statistics dtype, with all λ, ascending. */
interface Solved {
  readonly u: Tensor;
  readonly v: Tensor;
  readonly eigenvalues: StatisticValues;
  readonly usedFallback: boolean;
}

async function solve(problem: Problem, gradient: GradientStatistic | null): Promise<Solved> {
  if (gradient) return solveInLossMetric({ ...problem, gradient });
  const { scope, weight } = problem;
  const { basis: u, ...solution } = await solveEigenproblem(problem);
  return { u, v: project(scope, { weight, basis: u }), ...solution };
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
 * What makes a component of U as large as its row of V, at the mean squares x² of inputs and g² of
 * gradients: of the outputs' problem the norms are 1 / g and √λ / x, of the inputs' √λ / g and
 * 1 / x; without gradients g is 1. Components without weight get a small scale rather than none,
 * since V is divided by it; padding gets 1.
 */
function componentScales(
  eigenvalues: StatisticValues,
  {
    weight,
    statistic,
    gradient,
    rank,
    paddedRank,
  }: Pick<Problem, 'weight' | 'statistic' | 'rank' | 'paddedRank'> & {
    gradient: GradientStatistic | null;
  },
): Float64Array {
  const values = topValues(eigenvalues, rank);
  const inputs =
    statistic.squaredNorm > 0 ? statistic.squaredNorm / statistic.inFeatures : dampingOf(statistic);
  const outputs = gradient ? meanSquareOf(gradient) : 1;
  const isInverse = gradient !== null && weight.dim(0) > weight.dim(1);
  const largest = at(values, 0);
  const scales = new Float64Array(paddedRank).fill(1);
  if (largest > 0)
    for (const [index, value] of values.entries()) {
      const lambda = Math.max(value, 1e-16 * largest);
      scales[index] = ((outputs / inputs) * (isInverse ? 1 / lambda : lambda)) ** 0.25;
    }
  return scales;
}

function meanSquareOf(gradient: GradientStatistic): number {
  const { squaredNorm, outFeatures } = gradient;
  return squaredNorm > 0 ? squaredNorm / outFeatures : gradientDampingOf(gradient);
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

function assertGradient(
  weight: Tensor,
  { kind, features, outFeatures, matrix }: GradientStatistic,
): void {
  const [out, inFeatures] = [weight.dim(0), weight.dim(1)];
  const [expected, side] = out > inFeatures ? ['input', inFeatures] : ['output', out];
  const fits = kind === expected && features === side && outFeatures === out;
  if (fits && matrix.length === side ** 2) return;
  throw new EmulatorError(
    'EMULATOR_SHAPE_MISMATCH',
    `factorisation of ${weight.label} [${weight.shape.join()}]: gradients of the ${kind}s, ${features} features of ${outFeatures} outputs, do not fit it`,
  );
}
