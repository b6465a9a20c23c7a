import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';

import { orthonormalColumns } from './orthonormal-columns.js';
import type { Pencil } from './pencil.js';
import type { PieceScope } from './piece-scope.js';
import type { TopOfSpectrum } from './subspace.js';
import { eigenvaluesOf, selectTop, topValues } from './symmetric.js';

/** Of the largest λ: what rounding leaves of columns below it is no direction any more. */
const smallestShare = 2 ** -21;

interface Ranks {
  readonly rank: number;
  readonly paddedRank: number;
}

/**
 * The top of a pencil's spectrum from all of it: N = R Rᵀ by Cholesky, Rᵀ S R = Z Λ Zᵀ,
 * X = S R Z Λ⁻¹, whose columns Newton-Schulz steps make orthonormal again. Null where N is not
 * definite in the scope's dtype, or a value is not finite.
 */
export async function wholeSpectrum(
  scope: PieceScope,
  pencil: Pencil,
  ranks: Ranks,
): Promise<TopOfSpectrum | null> {
  const found = pencil.metric
    ? await throughRoot(scope, pencil.s, { metric: pencil.metric, ranks })
    : await ofSymmetric(scope, pencil.s, ranks);
  if (!found) return null;
  const { x, values } = found;
  const room = { shape: x.shape, label: 'top of the spectrum' };
  const columns = {
    x,
    other: scope.matrix(room.shape, room.label),
    inMetric: pencil.metric ? scope.matrix(room.shape, 'N X') : null,
  };
  const polished = await orthonormalColumns(scope, pencil, {
    columns,
    isFar: false,
    steps: 3,
  });
  if (columns.inMetric) scope.free(columns.inMetric);
  if (!polished) return null;
  scope.free(polished.other);
  return { x: polished.x, values, missing: 0 };
}

interface Found {
  readonly x: Tensor;
  readonly values: readonly number[];
}

async function ofSymmetric(scope: PieceScope, s: Tensor, ranks: Ranks): Promise<Found | null> {
  const vectors = copyOf(scope, s, 'eigenvectors');
  const eigenvalues = await eigenvaluesOf(scope, vectors);
  if (!eigenvalues.every(Number.isFinite)) return null;
  const values = topValues(eigenvalues, ranks.rank);
  const x = selectTop(scope, { vectors, columns: ranks, scales: values.map(() => 1) });
  scope.free(vectors);
  return { x, values };
}

async function throughRoot(
  scope: PieceScope,
  s: Tensor,
  { metric, ranks }: { metric: Tensor; ranks: Ranks },
): Promise<Found | null> {
  const { kernels } = scope.device;
  const n = s.dim(0);
  const root = copyOf(scope, metric, 'root of N');
  if (!(await kernels.cholesky({ a: root }))) return null;
  const product = scope.matrix([n, n], 'S R');
  kernels.gemm({ a: s, b: root, out: product });
  const vectors = scope.matrix([n, n], 'eigenvectors');
  kernels.gemm({ a: root, transposeA: true, b: product, out: vectors });
  scope.free(root);
  const eigenvalues = await eigenvaluesOf(scope, vectors);
  if (!eigenvalues.every(Number.isFinite)) return null;
  const values = topValues(eigenvalues, ranks.rank);
  const top = selectTop(scope, { vectors, columns: ranks, scales: inverses(values) });
  scope.free(vectors);
  const x = scope.matrix([n, ranks.paddedRank], 'X');
  kernels.gemm({ a: product, b: top, out: x });
  scope.free(product, top);
  return { x, values };
}

/** Λ⁻¹; 0 for a λ within rounding of zero. */
function inverses(values: readonly number[]): readonly number[] {
  const smallest = smallestShare * at(values, 0);
  return values.map((value) => (value > smallest ? 1 / value : 0));
}

function copyOf(scope: PieceScope, x: Tensor, label: string): Tensor {
  const copy = scope.matrix(x.shape, label);
  scope.device.kernels.cast({ x, out: copy });
  return copy;
}
