import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';

import { inputRoot, multiply, outputStatistic, type Problem } from './eigenproblem.js';
import { project } from './project.js';
import type { GradientStatistic, StatisticValues } from './statistics.js';
import { decompose, selectTop, squareRoot, topValues, type SquareRoot } from './symmetric.js';

/** Weight of the identity that makes O definite: Ô = O + ε (tr O / out) I. */
const gradientDamping = 1e-3;

/** A problem whose outputs are weighed by what the loss makes of them. */
export interface LossProblem extends Problem {
  readonly gradient: GradientStatistic;
}

/** Factors that are not balanced yet, in the statistics dtype; owned by the scope. */
export interface LossSolution {
  /** (out, paddedRank), columns by falling λ, then zero columns. */
  readonly u: Tensor;
  /** (paddedRank, in), likewise. */
  readonly v: Tensor;
  /** λ, ascending: all of the eigenproblem that was solved. */
  readonly eigenvalues: StatisticValues;
  readonly usedFallback: boolean;
}

/** ε (tr O / out); 1 where no gradient ever came, so that every output counts alike. */
export function gradientDampingOf({ squaredNorm, outFeatures }: GradientStatistic): number {
  return squaredNorm > 0 ? (gradientDamping * squaredNorm) / outFeatures : 1;
}

/**
 * U V with the least ‖Ô^½ (W − U V) Ĝ^½‖_F of its rank (ALGORITHM.md, section 2b), by the
 * eigenproblem of the smaller side: R Rᵀ is a statistic of one side of the weight, H the other
 * side's seen from there, and Rᵀ H R = P Λ Pᵀ. What section 2b has as R⁻ᵀ P or Pᵀ R⁻¹ is taken as
 * H R P Λ⁻¹ or its transpose, which is the same and needs no inverse. The error in that metric is
 * Σ_{k>r} λ_k, and the first columns and rows are the best of every smaller rank.
 */
export async function solveInLossMetric(problem: LossProblem): Promise<LossSolution> {
  const [out, inFeatures] = [problem.weight.dim(0), problem.weight.dim(1)];
  return out <= inFeatures ? solveByOutputs(problem) : solveByInputs(problem);
}

/** Ô = R Rᵀ, H = M̂: U = M̂ R P Λ⁻¹, V = (R P)ᵀ W. */
async function solveByOutputs(problem: LossProblem): Promise<LossSolution> {
  const { scope, weight, gradient } = problem;
  const root = await squareRoot(scope, {
    matrix: gradient.matrix,
    features: gradient.features,
    shift: gradientDampingOf(gradient),
    label: 'gradient statistic',
  });
  const { directions, duals, eigenvalues } = await solveBetween(problem, {
    root,
    open: () => outputStatistic(problem),
  });
  const v = project(scope, { weight, basis: directions });
  scope.free(directions);
  return { u: duals, v, eigenvalues, usedFallback: root.usedFallback };
}

/** Ĝ = S Sᵀ, H = K̂: U = W S P, V = (K̂ S P Λ⁻¹)ᵀ. */
async function solveByInputs(problem: LossProblem): Promise<LossSolution> {
  const { scope } = problem;
  const root = await inputRoot(problem);
  const { directions, duals, eigenvalues } = await solveBetween(problem, {
    root,
    open: () => dampedInputGradients(problem),
  });
  const u = multiply(problem, directions);
  const v = transposed(problem, duals);
  scope.free(directions, duals);
  return { u, v, eigenvalues, usedFallback: root.usedFallback };
}

interface Sides {
  /** R (n, n), freed here. */
  readonly root: SquareRoot;
  /** Makes H (n, n), freed here. */
  open(): Tensor;
}

/** R P_r and H R P_r Λ_r⁻¹ (n, paddedRank). */
async function solveBetween(
  { scope, rank, paddedRank }: LossProblem,
  { root: { s, isTransposed }, open }: Sides,
): Promise<{ directions: Tensor; duals: Tensor; eigenvalues: StatisticValues }> {
  const { kernels } = scope.device;
  const n = s.dim(0);
  const h = open();
  const product = scope.matrix([n, n], 'H R');
  kernels.gemm({ a: h, b: s, transposeB: isTransposed, out: product });
  kernels.gemm({ a: s, transposeA: !isTransposed, b: product, out: h });
  const { vectors, eigenvalues } = await decompose(scope, h);
  const values = topValues(eigenvalues, rank);
  const directions = scope.matrix([n, paddedRank], 'R P');
  const duals = scope.matrix([n, paddedRank], 'H R P');
  const columns = { rank, paddedRank };
  const kept = selectTop(scope, { vectors, columns, scales: values.map(() => 1) });
  kernels.gemm({ a: s, transposeA: isTransposed, b: kept, out: directions });
  scope.free(kept, s);
  const scales = inverses(values, scope.dtype);
  const scaled = selectTop(scope, { vectors, columns, scales });
  kernels.gemm({ a: product, b: scaled, out: duals });
  scope.free(scaled, product, vectors);
  return { directions, duals, eigenvalues };
}

/** K + ε (tr O / out) Wᵀ W */
export function dampedInputGradients({ scope, weight, gradient }: LossProblem): Tensor {
  const { kernels } = scope.device;
  const { matrix, features } = gradient;
  const k = scope.uploadMatrix(matrix, [features, features], 'eigenvectors');
  const gram = gramOfWeight({ scope, weight });
  kernels.add({ x: gram, out: k, alpha: gradientDampingOf(gradient) });
  scope.free(gram);
  return k;
}

/** Wᵀ W (in, in): products of W's own dtype, summed in float32. */
export function gramOfWeight({ scope, weight }: Pick<Problem, 'scope' | 'weight'>): Tensor {
  const { kernels } = scope.device;
  const shape = [weight.dim(1), weight.dim(1)];
  const sums = scope.allocate({ shape, dtype: 'float32', label: 'Wᵀ W' });
  kernels.gemm({ a: weight, transposeA: true, b: weight, out: sums });
  if (scope.dtype === 'float32') return sums;
  const out = scope.matrix(shape, 'Wᵀ W');
  kernels.cast({ x: sums, out });
  scope.free(sums);
  return out;
}

/** xᵀ: a product with the identity. */
function transposed({ scope }: LossProblem, x: Tensor): Tensor {
  const columns = x.dim(1);
  const ones = new Float64Array(columns * columns);
  for (let i = 0; i < columns; i += 1) ones[i * (columns + 1)] = 1;
  const identity = scope.uploadMatrix(ones, [columns, columns], 'identity');
  const out = scope.matrix([columns, x.dim(0)], 'transposed');
  scope.device.kernels.gemm({ a: identity, b: x, transposeB: true, out });
  scope.free(identity);
  return out;
}

/** Λ⁻¹; 0 for a λ within rounding of zero, whose share of the loss is nothing. */
function inverses(values: readonly number[], dtype: 'float32' | 'float64'): readonly number[] {
  const smallest = (dtype === 'float64' ? 2 ** -47 : 2 ** -18) * at(values, 0);
  return values.map((value) => (value > smallest ? 1 / value : 0));
}
