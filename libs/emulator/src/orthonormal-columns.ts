import type { Tensor } from '@emloc/device';

import { inMetric, type Pencil } from './pencil.js';
import type { PieceScope } from './piece-scope.js';
import { diagonalOf, eigenvaluesOf, scaleAlong, shiftDiagonal } from './symmetric.js';

/** Memory of an orthonormalisation, all (n, columns). */
interface Columns {
  readonly x: Tensor;
  /** Takes the result; x is overwritten. */
  readonly other: Tensor;
  /** Takes N x; null where N is I. */
  readonly inMetric: Tensor | null;
}

/** Of the largest eigenvalue: below it a direction is rounding, and is not made longer. */
const smallestShare = 1e-6;

/**
 * Columns with the span of x and Xᵀ N X = I to within rounding, in `x` or in `other`: eigenvectors
 * of their Gram matrix, whose diagonal is scaled to 1 first, over the roots of its eigenvalues, as
 * often as `passes` says; then Newton-Schulz steps, as many as `steps` says, each of which squares
 * the defect. One pass is enough for columns of a condition up to 10³, two up to 10⁶ (float32).
 * Null where a value is not finite.
 */
export async function orthonormalColumns(
  scope: PieceScope,
  pencil: Pencil,
  { columns: { x, other, inMetric: room }, passes, steps = 1 }: OrthonormalOptions,
): Promise<{ x: Tensor; other: Tensor } | null> {
  const { kernels } = scope.device;
  const count = x.dim(1);
  let [from, to] = [x, other];
  const gram = scope.matrix([count, count], 'Xᵀ N X');
  for (let pass = 0; pass < passes; pass += 1) {
    const seen = inMetric(scope, pencil, { x: from, out: room });
    kernels.gemm({ a: from, transposeA: true, b: seen, out: gram });
    if (!(await toInverseRoot(scope, gram))) return null;
    kernels.gemm({ a: from, b: gram, transposeB: true, out: to });
    [from, to] = [to, from];
  }
  for (let step = 0; step < steps; step += 1) {
    const seen = inMetric(scope, pencil, { x: from, out: room });
    newtonSchulz(scope, { x: from, seen, gram, to });
    [from, to] = [to, from];
  }
  scope.free(gram);
  return { x: from, other: to };
}

interface OrthonormalOptions {
  readonly columns: Columns;
  readonly passes: number;
  /** 1 unless told otherwise. */
  readonly steps?: number;
}

/** Rows D^-½ Eᵀ C of a = C⁻¹ E D Eᵀ C⁻¹, C its diagonal's inverse roots, in its place. */
async function toInverseRoot(scope: PieceScope, a: Tensor): Promise<boolean> {
  const diagonal = await diagonalOf(scope, a);
  const scales = diagonal.map((value) => (value > 0 ? 1 / Math.sqrt(value) : 1));
  if (!scales.every(Number.isFinite) || !diagonal.every(Number.isFinite)) return false;
  scaleAlong(scope, { x: a, scales, along: 'rows' });
  scaleAlong(scope, { x: a, scales, along: 'columns' });
  const eigenvalues = await eigenvaluesOf(scope, a);
  const smallest = smallestShare * Math.max(...eigenvalues);
  const roots = eigenvalues.map((value) =>
    smallest > 0 ? 1 / Math.sqrt(Math.max(value, smallest)) : 1,
  );
  if (!roots.every(Number.isFinite)) return false;
  scaleAlong(scope, { x: a, scales: roots, along: 'rows' });
  scaleAlong(scope, { x: a, scales, along: 'columns' });
  return true;
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
