import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';

import type { PieceScope } from './piece-scope.js';
import { forEachConverted, rowChunks } from './row-chunks.js';
import type { LayerStatistic, StatisticValues } from './statistics.js';
import {
  decompose,
  selectTop,
  shiftDiagonal,
  squareRoot,
  topValues,
  type SquareRoot,
} from './symmetric.js';

/** Weight of the identity that makes a statistic definite: Ĝ = G + δ (t / in) I. */
const damping = 1e-7;

export interface Problem {
  readonly scope: PieceScope;
  /** W (out, in) in the compute dtype */
  readonly weight: Tensor;
  readonly statistic: LayerStatistic;
  readonly rank: number;
  /** Columns of U including the zero ones. */
  readonly paddedRank: number;
}

/** The top left singular vectors of W Ĝ^½ and its squared singular values. */
export interface Solution {
  /**
   * U_r (out, paddedRank) in the statistics dtype, orthonormal columns by falling λ, then zero
   * columns; owned by the scope.
   */
  readonly basis: Tensor;
  /** λ, ascending: all of the eigenproblem that was solved. */
  readonly eigenvalues: StatisticValues;
  readonly usedFallback: boolean;
}

/**
 * δ (t / in); 1 where nothing was ever observed, so that the plain singular value decomposition of
 * W comes out.
 */
export function dampingOf({ squaredNorm, inFeatures }: LayerStatistic): number {
  return squaredNorm > 0 ? (damping * squaredNorm) / inFeatures : 1;
}

/** Solves the smaller symmetric eigenproblem (ALGORITHM.md, section 2). */
export async function solveEigenproblem(problem: Problem): Promise<Solution> {
  const [out, inFeatures] = [problem.weight.dim(0), problem.weight.dim(1)];
  return out <= inFeatures ? solveOutputProblem(problem) : solveInputProblem(problem);
}

/** out <= in: eigh(W Ĝ Wᵀ), (out, out); its eigenvectors are U. */
async function solveOutputProblem(problem: Problem): Promise<Solution> {
  const { scope } = problem;
  const a = outputStatistic(problem);
  const { vectors, eigenvalues } = await decompose(scope, a);
  const basis = selectTop(scope, {
    vectors,
    columns: problem,
    scales: topValues(eigenvalues, problem.rank).map(() => 1),
  });
  scope.free(vectors);
  return { basis, eigenvalues, usedFallback: false };
}

/** M̂ = W Ĝ Wᵀ (out, out), from M or from G. */
export function outputStatistic(problem: Problem): Tensor {
  return problem.statistic.kind === 'output'
    ? dampedOutputStatistic(problem)
    : projectedInputStatistic(problem);
}

/** S Sᵀ = Ĝ */
export function inputRoot({ scope, statistic }: Problem): Promise<SquareRoot> {
  const { matrix, features } = statistic;
  const shift = dampingOf(statistic);
  return squareRoot(scope, { matrix, features, shift, label: 'input statistic' });
}

/**
 * M + δ (t / in) W Wᵀ. The products of W are taken in its own dtype: δ makes their rounding
 * harmless.
 */
function dampedOutputStatistic({ scope, weight, statistic }: Problem): Tensor {
  const { kernels } = scope.device;
  const out = statistic.features;
  const a = scope.uploadMatrix(statistic.matrix, [out, out], 'eigenvectors');
  const chunks = rowChunks(scope, { rows: out, columns: out, dtype: scope.dtype });
  const height = at(chunks, 0)[1];
  const products = scope.allocate({
    shape: [height, out],
    dtype: 'float32',
    label: 'rows of W Wᵀ',
  });
  const converted = scope.allocate({
    shape: [height, out],
    dtype: scope.dtype,
    label: 'rows of W Wᵀ',
  });
  for (const [start, end] of chunks) {
    const [product, piece] = [products.rows(0, end - start), converted.rows(0, end - start)];
    kernels.gemm({
      a: weight.rows(start, end),
      b: weight,
      transposeB: true,
      out: product,
      alpha: dampingOf(statistic),
    });
    kernels.cast({ x: product, out: piece });
    kernels.add({ x: piece, out: a.rows(start, end) });
  }
  scope.free(products, converted);
  return a;
}

/** W Ĝ Wᵀ from a shared G. */
function projectedInputStatistic({ scope, weight, statistic }: Problem): Tensor {
  const { kernels } = scope.device;
  const [out, inFeatures] = [weight.dim(0), weight.dim(1)];
  const g = scope.uploadMatrix(statistic.matrix, [inFeatures, inFeatures], 'input statistic');
  shiftDiagonal(scope, g, dampingOf(statistic));
  const w = scope.matrix([out, inFeatures], 'weight');
  kernels.cast({ x: weight, out: w });
  const a = scope.matrix([out, out], 'eigenvectors');
  const chunks = rowChunks(scope, {
    rows: out,
    columns: inFeatures,
    dtype: scope.dtype,
  });
  const product = scope.matrix([at(chunks, 0)[1], inFeatures], 'rows of W G');
  for (const [start, end] of chunks) {
    const piece = product.rows(0, end - start);
    kernels.gemm({ a: w.rows(start, end), b: g, out: piece });
    kernels.gemm({ a: piece, b: w, transposeB: true, out: a.rows(start, end) });
  }
  scope.free(product, w, g);
  return a;
}

/** out > in: Ĝ = S Sᵀ, eigh(Sᵀ Wᵀ W S) = V Λ Vᵀ, (in, in); U_r = W S V_r Λ_r^-½. */
async function solveInputProblem(problem: Problem): Promise<Solution> {
  const { scope, rank, paddedRank, weight } = problem;
  const { kernels } = scope.device;
  const inFeatures = weight.dim(1);
  const root = await inputRoot(problem);
  const { vectors, eigenvalues } = await decompose(scope, gramOfProduct(problem, root));
  const scales = inverseSingularValues(topValues(eigenvalues, rank), scope.dtype);
  const selected = selectTop(scope, { vectors, columns: problem, scales });
  scope.free(vectors);
  const directions = scope.matrix([inFeatures, paddedRank], 'S V');
  kernels.gemm({ a: root.s, transposeA: root.isTransposed, b: selected, out: directions });
  scope.free(root.s, selected);
  const basis = multiply(problem, directions);
  scope.free(directions);
  orthonormalize(scope, basis);
  return { basis, eigenvalues, usedFallback: root.usedFallback };
}

/** (W S)ᵀ (W S), summed over pieces of W. */
function gramOfProduct({ scope, weight }: Problem, { s, isTransposed }: SquareRoot): Tensor {
  const { kernels } = scope.device;
  const [out, inFeatures] = [weight.dim(0), weight.dim(1)];
  const a = scope.matrix([inFeatures, inFeatures], 'eigenvectors');
  const chunks = rowChunks(scope, {
    rows: out,
    columns: inFeatures,
    dtype: scope.dtype,
  });
  const height = at(chunks, 0)[1];
  const product = scope.matrix([height, inFeatures], 'rows of W S');
  forEachConverted(scope, { x: weight, dtype: scope.dtype }, (piece, start, end) => {
    const rows = product.rows(0, end - start);
    kernels.gemm({ a: piece, b: s, transposeB: isTransposed, out: rows });
    kernels.gemm({ a: rows, transposeA: true, b: rows, out: a, accumulate: start > 0 });
  });
  scope.free(product);
  return a;
}

/** W x for x (in, columns) in the statistics dtype. */
export function multiply({ scope, weight }: Pick<Problem, 'scope' | 'weight'>, x: Tensor): Tensor {
  const out = weight.dim(0);
  const columns = x.dim(1);
  const product = scope.matrix([out, columns], 'basis');
  forEachConverted(scope, { x: weight, dtype: scope.dtype }, (piece, start, end) => {
    scope.device.kernels.gemm({ a: piece, b: x, out: product.rows(start, end) });
  });
  return product;
}

/**
 * Λ^-½; 0 for a λ within rounding of zero, whose vector would be noise and whose share of the
 * output is nothing.
 */
function inverseSingularValues(
  values: readonly number[],
  dtype: 'float32' | 'float64',
): readonly number[] {
  const epsilon = dtype === 'float64' ? 2 ** -52 : 2 ** -23;
  const smallest = 32 * epsilon * at(values, 0);
  return values.map((value) => (value > smallest ? 1 / Math.sqrt(value) : 0));
}

/**
 * Two Newton-Schulz steps X ← X (1.5 I − 0.5 Xᵀ X) (Higham, Functions of Matrices, 8.3): columns of
 * small λ are orthonormal only to ε λ₁ / λ, and each step squares that defect. Zero columns stay
 * zero.
 */
function orthonormalize(scope: PieceScope, x: Tensor): void {
  const { kernels } = scope.device;
  const [rows, columns] = [x.dim(0), x.dim(1)];
  const chunks = rowChunks(scope, { rows, columns, dtype: scope.dtype });
  const polynomial = scope.matrix([columns, columns], 'orthonormalisation');
  const product = scope.matrix([at(chunks, 0)[1], columns], 'orthonormalised rows');
  for (let step = 0; step < 2; step += 1) {
    kernels.fill({ out: polynomial, value: 0 });
    shiftDiagonal(scope, polynomial, 1.5);
    kernels.gemm({ a: x, transposeA: true, b: x, out: polynomial, alpha: -0.5, accumulate: true });
    for (const [start, end] of chunks) {
      const piece = product.rows(0, end - start);
      kernels.gemm({ a: x.rows(start, end), b: polynomial, out: piece });
      kernels.cast({ x: piece, out: x.rows(start, end) });
    }
  }
  scope.free(product, polynomial);
}
