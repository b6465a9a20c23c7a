import { at } from '@emloc/checked';
import type { Device, Tensor } from '@emloc/device';

import { dampingOf, solveEigenproblem } from './eigenproblem.js';
import { EmulatorError } from './errors.js';
import { holdRoom } from './hold-room.js';
import { gradientDampingOf, solveInLossMetric } from './loss-metric.js';
import type { WeightProblem } from './pencil.js';
import { PieceScope } from './piece-scope.js';
import { project } from './project.js';
import { solveQuickly, type QuickOptions } from './quick-factors.js';
import type { Solved } from './solved.js';
import { iterationDType, solverFor, type FactorsChoice, type Solver } from './solver.js';
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
  /** How they are found; `exact` unless told otherwise. */
  readonly choice?: FactorsChoice;
  /** What random columns are drawn from. */
  readonly seed?: string;
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
  /** Who found them. */
  readonly solver: Solver;
  /**
   * Whether the Cholesky factorisation failed and eigenvectors took its place, or what was found in
   * float32 missed its tolerance and the full problem was solved.
   */
  readonly usedFallback: boolean;
}

/**
 * Factorises a weight for its inputs and its gradients (ALGORITHM.md, sections 2 and 2b), as
 * `solverFor` says. What it allocates depends on shapes alone, so that the null device finds the
 * same peak: memory that only a fallback takes is held from the start. Everything but u and v is
 * freed, also when it fails.
 * @throws EmulatorError, OutOfBudgetError
 */
export async function factorize(options: FactorizeOptions): Promise<Factors> {
  const { device, weight, statistic, gradient, rank, choice = 'exact', seed = '' } = options;
  assertProblem(weight, statistic, rank);
  if (gradient) assertGradient(weight, gradient);
  const solver = solverFor(choice, { profile: device.profile, weight, rank, gradient });
  if (solver === 'full') return factorizeFully(options);
  const dtype = solver === 'subspace' ? iterationDType(choice, device.profile) : 'float32';
  const quick = { dtype, solver, seed };
  const key = JSON.stringify([
    ...[weight.shape, weight.dtype, statistic.kind, rank, solver, dtype],
    ...[gradient?.kind ?? null, options.pieceBytes ?? null],
  ]);
  const room = await holdRoom(options, {
    key,
    whole: factorizeFully,
    // Without values, as the device that only reserves has none either.
    part: (given) =>
      factorizeQuickly({ ...given, statistic: { ...statistic, squaredNorm: 0 } }, quick),
  });
  try {
    const found = await factorizeQuickly(options, quick);
    if (found) return found;
  } finally {
    room.release();
  }
  return { ...(await factorizeFully(options)), usedFallback: true };
}

async function factorizeFully(options: FactorizeOptions): Promise<Factors> {
  using scope = scopeOf(options, options.device.profile.statisticsDType);
  const problem = problemOf(options, scope);
  const { eigenvalues, ...solution } = await solve(problem);
  const values = topValues(eigenvalues, problem.rank);
  const relativeError = relativeErrorOf(eigenvalues, problem.rank);
  return finish(problem, { ...solution, values, relativeError }, 'full');
}

async function factorizeQuickly(
  options: FactorizeOptions,
  { dtype, ...quick }: QuickOptions & { readonly dtype: 'float32' | 'float64' },
): Promise<Factors | null> {
  using scope = scopeOf(options, dtype);
  const problem = problemOf(options, scope);
  const solved = await solveQuickly(problem, quick);
  return solved && finish(problem, solved, quick.solver);
}

function scopeOf(
  { device, weight, pieceBytes }: FactorizeOptions,
  dtype: 'float32' | 'float64',
): PieceScope {
  return new PieceScope(device, `factorisation of ${weight.label}`, { pieceBytes, dtype });
}

function problemOf(
  { device, weight, statistic, gradient = null, rank }: FactorizeOptions,
  scope: PieceScope,
): WeightProblem {
  const { rankMultiple } = device.profile;
  const paddedRank = Math.ceil(rank / rankMultiple) * rankMultiple;
  return { scope, weight, statistic, gradient, rank, paddedRank };
}

/** Balances and rounds. */
function finish(problem: WeightProblem, solved: Solved, solver: Solver): Factors {
  const { scope, rank, paddedRank } = problem;
  const scales = componentScales(solved, problem);
  const inverses = scales.map((scale) => 1 / scale);
  const v = rounded(scope, { x: solved.v, scales: inverses, along: 'rows', label: 'v' });
  const u = rounded(scope, { x: solved.u, scales, along: 'columns', label: 'u' });
  const { relativeError, usedFallback } = solved;
  return {
    u: scope.release(u),
    v: scope.release(v),
    ...{ rank, paddedRank, relativeError, solver, usedFallback },
  };
}

/** With all λ, ascending. */
type FullySolved = Pick<Solved, 'u' | 'v' | 'weighted' | 'usedFallback'> & {
  readonly eigenvalues: StatisticValues;
};

async function solve(problem: WeightProblem): Promise<FullySolved> {
  const { scope, weight, gradient } = problem;
  if (gradient) {
    const weighted = weight.dim(0) > weight.dim(1) ? 'u' : 'v';
    return { ...(await solveInLossMetric({ ...problem, gradient })), weighted };
  }
  const { basis: u, ...solution } = await solveEigenproblem(problem);
  return { u, v: project(scope, { weight, basis: u }), weighted: 'v', ...solution };
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
  const scale = scope.uploadMatrix(scales, [scales.length], 'balance');
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
 * gradients: their norms are 1 / g and √λ / x, or √λ / g and 1 / x where U is weighted; without
 * gradients g is 1. Components without weight get a small scale rather than none, since V is
 * divided by it; padding gets 1.
 */
function componentScales(
  { values, weighted }: Solved,
  { statistic, gradient, paddedRank }: WeightProblem,
): Float64Array {
  const inputs =
    statistic.squaredNorm > 0 ? statistic.squaredNorm / statistic.inFeatures : dampingOf(statistic);
  const outputs = gradient ? meanSquareOf(gradient) : 1;
  const largest = at(values, 0);
  const scales = new Float64Array(paddedRank).fill(1);
  if (largest > 0)
    for (const [index, value] of values.entries()) {
      const lambda = Math.max(value, 1e-16 * largest);
      const weight = weighted === 'u' ? 1 / lambda : lambda;
      scales[index] = ((outputs / inputs) * weight) ** 0.25;
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
