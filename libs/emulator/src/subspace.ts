import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';

import { orthonormalColumns } from './orthonormal-columns.js';
import { inMetric, type Pencil } from './pencil.js';
import type { PieceScope } from './piece-scope.js';
import { randomColumns } from './random-columns.js';
import type { StatisticValues } from './statistics.js';
import { diagonalOf, eigenvaluesOf, scaleAlong, selectTop, topValues } from './symmetric.js';
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
/** Of these, as many as most spectra take. */
const usualRounds = 2;
/** Products with the whole before the first of them. */
const powerSteps = 2;
/** Share of the tolerance that may still be missing when iteration ends. */
const endShare = 0.5;
/** What is estimated to be missing was 0.7 to 0.9 of what is. */
const estimateShare = 0.5;
const mostDegree = 8;
const limits = {
  /**
   * How far the largest λ may be amplified over those at the edge of the subspace; and the smallest
   * edge of the filter, of the largest λ, below which a λ is rounding.
   */
  float32: { amplification: 1e6, edge: 1e-6 },
  float64: { amplification: 1e13, edge: 1e-13 },
};

/** Columns of the subspace: a quarter more than the rank, but 16 to 160, in eights. */
export function subspaceColumns(rank: number, side: number): number {
  const more = Math.min(160, Math.max(16, rank / 4));
  return Math.min(side, Math.ceil((rank + more) / 8) * 8);
}

/**
 * The top of the spectrum by simultaneous iteration with Rayleigh-Ritz and a Chebyshev filter
 * (Saad, Numerical Methods for Large Eigenvalue Problems, 5 and 7.4) from columns of random signs.
 * What is still missing is estimated from the residuals of the Ritz vectors. Null where that does
 * not fall below half of the tolerance in ten rounds, or a value is not finite.
 */
export async function topOfSpectrum(
  scope: PieceScope,
  pencil: Pencil,
  options: SubspaceOptions,
): Promise<TopOfSpectrum | null> {
  const memory = openMemory(scope, pencil, options);
  const top = await iterate(scope, pencil, { memory, options });
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
}

function openMemory(
  scope: PieceScope,
  { s, metric }: Pencil,
  { rank, seed }: SubspaceOptions,
): Memory {
  const n = s.dim(0);
  const shape = [n, subspaceColumns(rank, n)] as const;
  const basis = randomColumns(scope, shape, seed);
  const [image, spare, other] = ['image', 'filtered', 'filtered before'].map((label) =>
    scope.matrix(shape, label),
  ) as [Tensor, Tensor, Tensor];
  return {
    basis,
    image,
    spares: [spare, other],
    inMetric: metric ? scope.matrix(shape, 'N X') : null,
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
  for (let step = 0; step < powerSteps; step += 1) {
    apply(scope, pencil, memory, { x: memory.basis, out: memory.spares[0] });
    if (!(await renewBasis(scope, pencil, memory))) return null;
  }
  const columns = memory.basis.dim(1);
  // Without values every residual is zero: as many rounds as there usually are, then.
  const leastRounds = scope.device.blank(1) ? usualRounds : 1;
  for (let round = 1; round <= mostRounds; round += 1) {
    const seen = apply(scope, pencil, memory, { x: memory.basis, out: memory.image });
    const vectors = scope.matrix([columns, columns], 'Ritz vectors');
    scope.device.kernels.gemm({ a: seen, transposeA: true, b: memory.image, out: vectors });
    const ritz = await eigenvaluesOf(scope, vectors);
    if (!ritz.every(Number.isFinite)) return null;
    const values = topValues(ritz, options.rank);
    rotate(scope, memory, vectors);
    const missing = await missingOf(scope, pencil, memory, { ritz, rank: options.rank });
    const captured = values.reduce((sum, value) => sum + value, 0);
    const isFound = missing <= endShare * missedTolerance(pencil.total, captured);
    if (isFound && round >= leastRounds)
      return { x: selected(scope, memory.basis, vectors, options), values, missing };
    scope.free(vectors);
    filter(scope, pencil, memory, ritz);
    if (!(await renewBasis(scope, pencil, memory))) return null;
  }
  return null;
}

/** X Z and S N X Z in the spares, Z the Ritz vectors, which are rows. */
function rotate(scope: PieceScope, { basis, image, spares }: Memory, vectors: Tensor): void {
  const { kernels } = scope.device;
  kernels.gemm({ a: basis, b: vectors, transposeB: true, out: spares[0] });
  kernels.gemm({ a: image, b: vectors, transposeB: true, out: spares[1] });
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
async function renewBasis(scope: PieceScope, pencil: Pencil, memory: Memory): Promise<boolean> {
  const { basis, spares, inMetric: room } = memory;
  const columns = { x: spares[0], other: spares[1], inMetric: room };
  const renewed = await orthonormalColumns(scope, pencil, { columns });
  if (!renewed) return false;
  memory.basis = renewed.x;
  memory.spares = [basis, renewed.other];
  return true;
}

/**
 * Σ over the top Ritz pairs, which are in the spares, of ρ² / (θ − θ_m), or of ρ if that is less:
 * how far below its λ a θ is, with ρ the norm of its residual S N x − θ x and θ_m the smallest of
 * all (Saad, 3.2.2). The image is overwritten.
 */
async function missingOf(
  scope: PieceScope,
  pencil: Pencil,
  { image, spares, inMetric: room }: Memory,
  { ritz, rank }: { ritz: StatisticValues; rank: number },
): Promise<number> {
  const { kernels } = scope.device;
  const columns = image.dim(1);
  const scales = ritz.map((value) => -value);
  scaleAlong(scope, { x: spares[0], scales, along: 'columns', out: image });
  kernels.add({ x: spares[1], out: image });
  const seen = inMetric(scope, pencil, { x: image, out: room });
  const products = scope.matrix([columns, columns], 'residuals');
  kernels.gemm({ a: image, transposeA: true, b: seen, out: products });
  const squares = await diagonalOf(scope, products);
  scope.free(products);
  const edge = at(ritz, 0);
  let missing = 0;
  for (let index = columns - rank; index < columns; index += 1) {
    const square = Math.max(0, at(squares, index));
    missing += Math.min(Math.sqrt(square), square / Math.max(at(ritz, index) - edge, 1e-300));
  }
  return missing / estimateShare;
}

/**
 * Ritz vectors, through the Chebyshev polynomial of degree m that is small from 0 to the smallest
 * Ritz value c and grows above it: T_m(2 T / c − 1) with T = S N, each column over what its Ritz
 * value becomes. They and their images are in the spares; the result is in the first.
 */
function filter(scope: PieceScope, pencil: Pencil, memory: Memory, ritz: StatisticValues): void {
  const { kernels } = scope.device;
  const { amplification, edge: smallestEdge } = limits[scope.dtype];
  const largest = at(ritz, ritz.length - 1);
  const edge = Math.max(at(ritz, 0), smallestEdge * largest) || 1;
  const degree = filterDegree(largest / edge, amplification);
  const scales = ritz.map((value) => 1 / chebyshev(degree, value / edge));
  let [before, now] = memory.spares;
  scaleAlong(scope, { x: before, scales, along: 'columns' });
  scaleAlong(scope, { x: now, scales: scales.map((s) => (2 / edge) * s), along: 'columns' });
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

/** The largest degree that amplifies the largest λ, over the edge, no more than that. */
function filterDegree(largest: number, amplification: number): number {
  let degree = 1;
  while (degree < mostDegree && chebyshev(degree + 1, largest) <= amplification) degree += 1;
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
