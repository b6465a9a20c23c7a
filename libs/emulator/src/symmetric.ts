import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';

import { EmulatorError } from './errors.js';
import type { PieceScope } from './piece-scope.js';
import type { StatisticValues } from './statistics.js';

/** S or, where `isTransposed`, Sᵀ with S Sᵀ the matrix. */
export interface SquareRoot {
  readonly s: Tensor;
  readonly isTransposed: boolean;
  readonly usedFallback: boolean;
}

/** A statistic in host memory plus shift · I. */
export interface ShiftedStatistic {
  /** (features, features) */
  readonly matrix: StatisticValues;
  readonly features: number;
  /** Positive. */
  readonly shift: number;
  readonly label: string;
}

/**
 * Cholesky; where rounding left the matrix indefinite, eigenvectors scaled by the roots of its
 * eigenvalues, which are no smaller than the shift in exact arithmetic and are clamped to that.
 */
export async function squareRoot(
  scope: PieceScope,
  { matrix, features, shift, label }: ShiftedStatistic,
): Promise<SquareRoot> {
  const { kernels } = scope.device;
  const s = scope.uploadMatrix(matrix, [features, features], `root of the ${label}`);
  shiftDiagonal(scope, s, shift);
  if (await kernels.cholesky({ a: s })) return { s, isTransposed: false, usedFallback: false };
  scope.uploadInto(s, matrix);
  shiftDiagonal(scope, s, shift);
  const { vectors, eigenvalues } = await decompose(scope, s);
  const scales = eigenvalues.map((value) => Math.sqrt(Math.max(value, shift)));
  scaleAlong(scope, { x: vectors, scales, along: 'rows' });
  return { s: vectors, isTransposed: true, usedFallback: true };
}

/**
 * eigh in place: row i of `vectors`, which is `a`, belongs to the i-th eigenvalue, ascending.
 * @throws EmulatorError EMULATOR_NON_FINITE
 */
export async function decompose(
  scope: PieceScope,
  a: Tensor,
): Promise<{ vectors: Tensor; eigenvalues: StatisticValues }> {
  const eigenvalues = await eigenvaluesOf(scope, a);
  if (eigenvalues.every(Number.isFinite)) return { vectors: a, eigenvalues };
  throw new EmulatorError(
    'EMULATOR_NON_FINITE',
    `${scope.label}: its statistics have eigenvalues that are not finite`,
  );
}

/** eigh in place, as `decompose`; values may be not finite. */
export async function eigenvaluesOf(scope: PieceScope, a: Tensor): Promise<StatisticValues> {
  const values = scope.matrix([a.dim(0)], 'eigenvalues');
  await scope.device.kernels.eigh({ a, values });
  const eigenvalues = (await scope.device.download(values)) as StatisticValues;
  scope.free(values);
  return eigenvalues;
}

/** The `rank` largest of ascending eigenvalues, largest first, none below 0. */
export function topValues(ascending: StatisticValues, rank: number): readonly number[] {
  return Array.from({ length: rank }, (_, index) =>
    Math.max(0, at(ascending, ascending.length - 1 - index)),
  );
}

/**
 * The last `rank` rows of `vectors` (n, n) as columns (n, paddedRank), last row first, each times
 * its scale, then zero columns: a product with a (rank, paddedRank) matrix that turns, scales and
 * pads at once.
 */
export function selectTop(
  scope: PieceScope,
  {
    vectors,
    columns,
    scales,
  }: { vectors: Tensor; columns: { rank: number; paddedRank: number }; scales: readonly number[] },
): Tensor {
  const { rank, paddedRank } = columns;
  const n = vectors.dim(0);
  const selection = scope.matrix([rank, paddedRank], 'selection');
  writeAntidiagonal(scope, selection, scales);
  const selected = scope.matrix([n, paddedRank], 'selected eigenvectors');
  scope.device.kernels.gemm({
    a: vectors.rows(n - rank, n),
    transposeA: true,
    b: selection,
    out: selected,
  });
  scope.free(selection);
  return selected;
}

/**
 * Scale i at row rank − 1 − i and column i of a (rank, columns), else zeros. These elements are
 * the first column of the same memory read from element rank − 1 on as (rank, columns − 1), so a
 * product with a row of one value writes them on the device.
 */
function writeAntidiagonal(scope: PieceScope, out: Tensor, scales: readonly number[]): void {
  const { kernels } = scope.device;
  const [rank, columns] = [out.dim(0), out.dim(1)];
  const column = new Float64Array(rank);
  for (const [index, scale] of scales.entries()) column[rank - 1 - index] = scale;
  const values = scope.uploadMatrix(column, [rank, 1], 'scales');
  if (columns === 1) {
    kernels.cast({ x: values, out });
  } else {
    kernels.fill({ out, value: 0 });
    const unit = new Float64Array(columns - 1);
    unit[0] = 1;
    const first = scope.uploadMatrix(unit, [1, columns - 1], 'first of each row');
    const skewed = out.reshape([rank * columns, 1]).rows(rank - 1, rank - 1 + rank * (columns - 1));
    kernels.gemm({ a: values, b: first, out: skewed.reshape([rank, columns - 1]) });
    scope.free(first);
  }
  scope.free(values);
}

/** The diagonal of a (n, n), read as `shiftDiagonal` writes it. */
export async function diagonalOf(scope: PieceScope, a: Tensor): Promise<StatisticValues> {
  const { kernels } = scope.device;
  const n = a.dim(0);
  const unit = new Float64Array(n + 1);
  unit[0] = 1;
  const first = scope.uploadMatrix(unit, [n + 1, 1], 'first of each row');
  const out = scope.matrix([n, 1], 'diagonal');
  const flat = a.reshape([n * n, 1]);
  if (n > 1) {
    const skewed = flat.rows(0, n * n - 1).reshape([n - 1, n + 1]);
    kernels.gemm({ a: skewed, b: first, out: out.rows(0, n - 1) });
  }
  const last = flat.rows(n * n - 1, n * n);
  kernels.gemm({ a: last, b: first.rows(0, 1), out: out.rows(n - 1, n) });
  const values = (await scope.device.download(out)) as StatisticValues;
  scope.free(first, out);
  return values;
}

/**
 * a += shift · I. The diagonal of a row-major (n, n) matrix but its last element is the first
 * column of the same memory read as (n − 1, n + 1), so two products with a row of one value add to
 * it on the device.
 */
export function shiftDiagonal(scope: PieceScope, a: Tensor, shift: number): void {
  const { kernels } = scope.device;
  const n = a.dim(0);
  const ones = scope.uploadMatrix(new Float64Array(n).fill(1), [n, 1], 'ones');
  const first = new Float64Array(n + 1);
  first[0] = shift;
  const row = scope.uploadMatrix(first, [n + 1, 1], 'diagonal shift');
  const flat = a.reshape([n * n, 1]);
  if (n > 1) {
    const skewed = flat.rows(0, n * n - 1).reshape([n - 1, n + 1]);
    kernels.gemm({
      a: ones.rows(0, n - 1),
      b: row,
      transposeB: true,
      out: skewed,
      accumulate: true,
    });
  }
  kernels.gemm({
    a: ones.rows(0, 1),
    b: row.rows(0, 1),
    out: flat.rows(n * n - 1, n * n),
    accumulate: true,
  });
  scope.free(ones, row);
}

/** out[i, j] = x[i, j] scales[i] (along rows), or scales[j] (along columns). Default out: x. */
export function scaleAlong(
  scope: PieceScope,
  {
    x,
    scales,
    along,
    out = x,
  }: { x: Tensor; scales: StatisticValues; along: 'rows' | 'columns'; out?: Tensor },
): void {
  const scale = scope.uploadMatrix(scales, [scales.length], `scales of ${along}`);
  scope.device.kernels.scale({ x, scale, along, out });
  scope.free(scale);
}
