import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';

import { orthonormalColumns } from './orthonormal-columns.js';
import { inMetric, type Pencil } from './pencil.js';
import type { PieceScope } from './piece-scope.js';
import { giveBackSigns, randomSigns } from './random-signs.js';
import type { StatisticValues } from './statistics.js';
import { eigenvaluesOf, scaleAlong, selectTop, topValues } from './symmetric.js';
import { missedTolerance } from './tolerance.js';

/** The top of a pencil's spectrum. */
export interface TopOfSpectrum {
  /** X (n, paddedRank), Xᵀ N X = I, columns by falling λ, then zero columns. */
  readonly x: Tensor;
  /** λ of the columns of X, falling. */
  readonly values: readonly number[];
  /** Estimate of Σ λ of the best X of this rank less Σ `values`. */
  readonly missing: number;
}

interface SubspaceOptions {
  readonly rank: number;
  readonly paddedRank: number;
  /** What the starting columns are drawn from. */
  readonly seed: string;
}

/** Rayleigh-Ritz problems that are solved before the full problem is thought to be cheaper. */
const mostRounds = 10;
/** Share of the tolerance that may still be missing when iteration ends. */
const endShare = 0.25;
const mostDegree = 8;
/** How far the largest λ may be amplified over those at the edge of the subspace, in float32. */
const mostAmplification = 1e6;
/** The smallest edge of the filter, of the largest λ: below it a λ is rounding. */
const smallestEdge = 1e-6;

/** Columns of the subspace: a quarter more than the rank, at least 16, in eights. */
export function subspaceColumns(rank: number, side: number): number {
  return Math.min(side, Math.ceil((rank + Math.max(16, rank / 4)) / 8) * 8);
}

/**
 * The top of the spectrum by simultaneous iteration with Rayleigh-Ritz and a Chebyshev filter
 * (Saad, Numerical Methods for Large Eigenvalue Problems, 5 and 7.4) from columns of random signs.
 * What the Ritz values gain from round to round falls geometrically, so that two gains say what is
 * still missing. Null where that does not fall below a quarter of the tolerance in ten rounds, or a
 * value is not finite.
 */
export async function topOfSpectrum(
  scope: PieceScope,
  pencil: Pencil,
  options: SubspaceOptions,
): Promise<TopOfSpectrum | null> {
  const memory = openMemory(scope, pencil, options);
  const top = await iterate(scope, pencil, { memory, options });
  // What was downloaded since came after their upload.
  if (memory.signs) giveBackSigns(memory.signs);
  scope.free(memory.basis, memory.image, ...memory.spares);
  if (memory.inMetric) scope.free(memory.inMetric);
  return top;
}

/** Tensors (n, columns). */
interface Memory {
  basis: Tensor;
  /** S N X of the basis X. */
  readonly image: Tensor;
  spares: [Tensor, Tensor];
  readonly inMetric: Tensor | null;
  /** What the first basis was uploaded from, on the host; null: nothing was made. */
  readonly signs: Float32Array | null;
}

function openMemory(
  scope: PieceScope,
  { s, metric }: Pencil,
  { rank, seed }: SubspaceOptions,
): Memory {
  const n = s.dim(0);
  const shape = [n, subspaceColumns(rank, n)] as const;
  const count = shape[0] * shape[1];
  const blank = scope.device.blank(count);
  const signs = blank ?? randomSigns(seed, count);
  const basis = scope.uploadMatrix(signs, shape, 'basis');
  const [image, spare, other] = ['image', 'filtered', 'filtered before'].map((label) =>
    scope.matrix(shape, label),
  ) as [Tensor, Tensor, Tensor];
  return {
    basis,
    image,
    spares: [spare, other],
    inMetric: metric ? scope.matrix(shape, 'N X') : null,
    signs: blank ? null : signs,
  };
}

interface Iteration {
  readonly memory: Memory;
  readonly options: SubspaceOptions;
}

async function iterate(
  scope: PieceScope,
  pencil: Pencil,
  { memory, options }: Iteration,
): Promise<TopOfSpectrum | null> {
  apply(scope, pencil, memory, { x: memory.basis, out: memory.spares[0] });
  if (!(await renewBasis(scope, pencil, memory, 2))) return null;
  const captured: number[] = [];
  const columns = memory.basis.dim(1);
  for (let round = 0; round < mostRounds; round += 1) {
    const seen = apply(scope, pencil, memory, { x: memory.basis, out: memory.image });
    const vectors = scope.matrix([columns, columns], 'Ritz vectors');
    scope.device.kernels.gemm({ a: seen, transposeA: true, b: memory.image, out: vectors });
    const ritz = await eigenvaluesOf(scope, vectors);
    if (!ritz.every(Number.isFinite)) return null;
    const values = topValues(ritz, options.rank);
    captured.push(values.reduce((sum, value) => sum + value, 0));
    const missing = missingOf(captured, missedTolerance(pencil.total, at(captured, round)));
    if (missing !== null)
      return { x: selected(scope, memory.basis, vectors, options), values, missing };
    filter(scope, pencil, memory, { vectors, ritz });
    scope.free(vectors);
    if (!(await renewBasis(scope, pencil, memory, 1))) return null;
  }
  return null;
}

/** out = S N x; gives N x, which is x where N is I. */
function apply(
  scope: PieceScope,
  pencil: Pencil,
  memory: Memory,
  { x, out, alpha = 1, accumulate = false }: Application,
): Tensor {
  const seen = inMetric(scope, pencil, { x, out: memory.inMetric });
  scope.device.kernels.gemm({ a: pencil.s, b: seen, out, alpha, accumulate });
  return seen;
}

interface Application {
  readonly x: Tensor;
  readonly out: Tensor;
  readonly alpha?: number;
  readonly accumulate?: boolean;
}

/** The basis becomes orthonormal columns with the span of the first spare. */
async function renewBasis(
  scope: PieceScope,
  pencil: Pencil,
  memory: Memory,
  passes: number,
): Promise<boolean> {
  const { basis, spares, inMetric: room } = memory;
  const columns = { x: spares[0], other: spares[1], inMetric: room };
  const renewed = await orthonormalColumns(scope, pencil, { columns, passes });
  if (!renewed) return false;
  memory.basis = renewed.x;
  memory.spares = [basis, renewed.other];
  return true;
}

/**
 * What gains that fall geometrically sum to from here on; null where that is not known to be small:
 * before there are two, or where the last is above the tolerance or what follows above a quarter.
 */
function missingOf(captured: readonly number[], tolerance: number): number | null {
  if (captured.length < 3) return null;
  const [first, second, third] = captured.slice(-3) as [number, number, number];
  const gain = third - second;
  if (gain <= 0) return 0;
  const ratio = gain / (second - first);
  const isFalling = ratio > 0 && ratio < 1;
  const missing = isFalling ? (gain * ratio) / (1 - ratio) : gain;
  return gain <= tolerance && missing <= endShare * tolerance ? missing : null;
}

/**
 * Ritz vectors, through the Chebyshev polynomial of degree m that is small from 0 to the smallest
 * Ritz value c and grows above it: T_m(2 T / c − 1) with T = S N, each column over what its Ritz
 * value becomes. The result is in the first spare.
 */
function filter(
  scope: PieceScope,
  pencil: Pencil,
  memory: Memory,
  { vectors, ritz }: { vectors: Tensor; ritz: StatisticValues },
): void {
  const { kernels } = scope.device;
  const largest = at(ritz, ritz.length - 1);
  const edge = Math.max(at(ritz, 0), smallestEdge * largest) || 1;
  const degree = filterDegree(largest / edge);
  const scales = ritz.map((value) => 1 / chebyshev(degree, value / edge));
  const { basis, image } = memory;
  let [before, now] = memory.spares;
  kernels.gemm({ a: basis, b: vectors, transposeB: true, out: before });
  kernels.gemm({ a: image, b: vectors, transposeB: true, alpha: 2 / edge, out: now });
  scaleAlong(scope, { x: before, scales, along: 'columns' });
  scaleAlong(scope, { x: now, scales, along: 'columns' });
  kernels.add({ x: before, out: now, alpha: -1 });
  // T_{j+1} = 2 t T_j − T_{j−1} in the place of T_{j−1}, its sign turned where that saves a pass.
  for (let j = 2; j <= degree; j += 1) {
    const sign = j % 2 === 0 ? 1 : -1;
    kernels.add({ x: now, out: before, alpha: 2 * sign });
    apply(scope, pencil, memory, {
      x: now,
      out: before,
      alpha: (-4 * sign) / edge,
      accumulate: true,
    });
    [before, now] = [now, before];
  }
  memory.spares = [now, before];
}

/** The largest degree that amplifies the largest λ no more than float32 bears. */
function filterDegree(largest: number): number {
  let degree = 1;
  while (degree < mostDegree && chebyshev(degree + 1, largest) <= mostAmplification) degree += 1;
  return degree;
}

/** T_m(2 λ − 1) of a λ over the edge; 1 below it. */
function chebyshev(degree: number, lambda: number): number {
  return Math.cosh(degree * Math.acosh(Math.max(1, 2 * lambda - 1)));
}

function selected(
  scope: PieceScope,
  basis: Tensor,
  vectors: Tensor,
  { rank, paddedRank }: SubspaceOptions,
): Tensor {
  const scales = Array.from({ length: rank }, () => 1);
  const top = selectTop(scope, { vectors, columns: { rank, paddedRank }, scales });
  scope.free(vectors);
  const x = scope.matrix([basis.dim(0), paddedRank], 'top of the spectrum');
  scope.device.kernels.gemm({ a: basis, b: top, out: x });
  scope.free(top);
  return x;
}
