import type { Tensor } from '@emloc/device';

import { inMetric, type Pencil } from './pencil.js';
import type { PieceScope } from './piece-scope.js';
import type { StatisticValues } from './statistics.js';
import { diagonalOf, eigenvaluesOf, scaleAlong, shiftDiagonal } from './symmetric.js';

/** Memory of an orthonormalisation, all (n, columns). */
interface Columns {
  readonly x: Tensor;
  /** Takes the result where it is not in x; x is overwritten in any case. */
  readonly other: Tensor;
  /** Takes N x; null where N is I. */
  readonly inMetric: Tensor | null;
}

const epsilons = { float32: 2 ** -23, float64: 2 ** -52 };

/** Gram matrices that are taken before columns are as orthonormal as they become. */
const mostPasses = 3;

interface OrthonormalOptions {
  readonly columns: Columns;
  /** Whether columns may be far from orthonormal. Default: yes. */
  readonly isFar?: boolean;
  /** Newton-Schulz steps at the end. Default: 1. */
  readonly steps?: number;
}

/**
 * Columns with the span of x and Xᵀ N X = I to within rounding, in `x` or in `other`: by the
 * Cholesky factor of their Gram matrix, whose diagonal is scaled to 1 first (CholeskyQR), again
 * where its smallest pivot says that they are not orthonormal to half of the dtype's digits yet;
 * then Newton-Schulz steps, each of which squares the defect. Where the Gram matrix is singular to
 * rounding its eigenvectors take the factor's place. Null where a value is not finite.
 */
export async function orthonormalColumns(
  scope: PieceScope,
  pencil: Pencil,
  { columns: { x, other, inMetric: room }, isFar = true, steps = 1 }: OrthonormalOptions,
): Promise<{ x: Tensor; other: Tensor } | null> {
  const { kernels } = scope.device;
  let [from, to] = [x, other];
  const gram = scope.matrix([x.dim(1), x.dim(1)], 'Xᵀ N X');
  const makeGram = () => {
    const seen = inMetric(scope, pencil, { x: from, out: room });
    kernels.gemm({ a: from, transposeA: true, b: seen, out: gram });
  };
  for (let pass = 0, isDone = !isFar; !isDone && pass < mostPasses; pass += 1) {
    makeGram();
    const defect = await divideByRoot(scope, { x: from, gram });
    if (defect === null) {
      makeGram();
      if (!(await toInverseRoot(scope, gram))) return null;
      kernels.gemm({ a: from, b: gram, transposeB: true, out: to });
      [from, to] = [to, from];
    } else isDone = defect <= Math.sqrt(epsilons[scope.dtype]);
  }
  for (let step = 0; step < steps; step += 1) {
    const seen = inMetric(scope, pencil, { x: from, out: room });
    newtonSchulz(scope, { x: from, seen, gram, to });
    [from, to] = [to, from];
  }
  scope.free(gram);
  return { x: from, other: to };
}

/**
 * X C L⁻ᵀ in the place of X, with C X N Xᵀ C = L Lᵀ and C what makes its diagonal 1; gives about
 * how far from orthonormal rounding leaves that. Null where there is no such L; the Gram matrix is
 * overwritten in any case.
 */
async function divideByRoot(
  scope: PieceScope,
  { x, gram }: { x: Tensor; gram: Tensor },
): Promise<number | null> {
  const { kernels } = scope.device;
  const scales = await toUnitDiagonal(scope, gram);
  if (!scales || !(await kernels.cholesky({ a: gram }))) return null;
  const pivots = await diagonalOf(scope, gram);
  const smallest = Math.min(1, ...pivots);
  if (!(smallest > 0)) return null;
  scaleAlong(scope, { x, scales, along: 'columns' });
  await kernels.solveTriangular({ x, l: gram });
  return epsilons[scope.dtype] / smallest ** 2;
}

/** Rows D^-½ Eᵀ C of a = C⁻¹ E D Eᵀ C⁻¹, C its diagonal's inverse roots, in its place. */
async function toInverseRoot(scope: PieceScope, a: Tensor): Promise<boolean> {
  const scales = await toUnitDiagonal(scope, a);
  if (!scales) return false;
  const eigenvalues = await eigenvaluesOf(scope, a);
  const largest = Math.max(0, ...eigenvalues);
  // Below it a direction is rounding, and is not made longer.
  const smallest = 8 * epsilons[scope.dtype] * largest;
  const roots = eigenvalues.map((value) =>
    smallest > 0 ? 1 / Math.sqrt(Math.max(value, smallest)) : 1,
  );
  if (!roots.every(Number.isFinite)) return false;
  scaleAlong(scope, { x: a, scales: roots, along: 'rows' });
  scaleAlong(scope, { x: a, scales, along: 'columns' });
  return true;
}

/** C a C with a diagonal of ones in the place of a, and the diagonal of C; null if not finite. */
async function toUnitDiagonal(scope: PieceScope, a: Tensor): Promise<StatisticValues | null> {
  const diagonal = await diagonalOf(scope, a);
  const scales = diagonal.map((value) => (value > 0 ? 1 / Math.sqrt(value) : 1));
  if (!scales.every(Number.isFinite) || !diagonal.every(Number.isFinite)) return null;
  scaleAlong(scope, { x: a, scales, along: 'rows' });
  scaleAlong(scope, { x: a, scales, along: 'columns' });
  return scales;
}

/** X (1.5 I − 0.5 Xᵀ N X) (Higham, Functions of Matrices, 8.3): a defect becomes its square. */
function newtonSchulz(
  scope: PieceScope,
  { x, seen, gram, to }: { x: Tensor; seen: Tensor; gram: Tensor; to: Tensor },
): void {
  const { kernels } = scope.device;
  kernels.fill({ out: gram, value: 0 });
  shiftDiagonal(scope, gram, 1.5);
  kernels.gemm({ a: x, transposeA: true, b: seen, out: gram, alpha: -0.5, accumulate: true });
  kernels.gemm({ a: x, b: gram, out: to });
}
