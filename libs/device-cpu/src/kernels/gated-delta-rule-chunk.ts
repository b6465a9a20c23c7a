import {
  deltaChunkRows,
  type GatedDeltaRuleOptions,
  type KernelName,
  type SequenceLayout,
} from '@emloc/device';

import { assertSequences, assertShape, matrix } from '../checks.js';
import type { CpuContext } from '../context.js';
import type { LinearAlgebra, Matrix, ProductOptions } from '../linear-algebra.js';
import { productScratchBytes } from '../portable/blocks.js';
import { scratchBytes } from '../scratch.js';

/** Row-major, in scratch or a tensor. */
export type Rows = Matrix<Float32Array>;

export interface RuleSizes {
  /** Length of a key and of a value. */
  readonly keys: number;
  readonly values: number;
  readonly keyHeads: number;
  readonly valueHeads: number;
}

/** Rows of one sequence that are worked on together. */
export interface Chunk {
  /** Its number among all chunks. */
  readonly index: number;
  /** First row in the packed tensors. */
  readonly row: number;
  readonly rows: number;
}

/** A chunk's place in one value head. */
export interface HeadChunk extends Chunk {
  readonly head: number;
  readonly keyHead: number;
}

/** What a chunk's rows leave of the state, per row or pair of rows of one head. */
export interface ChunkGates {
  /** exp of all decay since the chunk's start, the row's own included. */
  readonly fromStart: Float64Array;
  /** exp of all decay after the row, to the chunk's end. */
  readonly toEnd: Float64Array;
  /** exp of all decay of the chunk. */
  readonly whole: number;
  readonly strength: Float64Array;
}

/** Rows of square buffers are this far apart, however many there are: equal products always. */
export const tile = deltaChunkRows;
/** Rows that are solved for one by one; products do the rest. */
const solveRows = 16;

type Checked = Omit<GatedDeltaRuleOptions, 'out' | 'states'>;

/** @throws DeviceError DEVICE_SHAPE_MISMATCH for operands that do not belong together */
export function checkRule(kernel: KernelName, options: Checked): RuleSizes {
  const { q, k, v, decay, strength, sequences, keyHeads, valueHeads } = options;
  const [[rows, keyWidth], [, valueWidth]] = [matrix(kernel, q), matrix(kernel, v)];
  assertShape(kernel, k, [rows, keyWidth]);
  assertShape(kernel, v, [rows, valueWidth]);
  for (const tensor of [decay, strength]) assertShape(kernel, tensor, [rows, valueHeads]);
  assertSequences(kernel, sequences, rows);
  return { keys: keyWidth / keyHeads, values: valueWidth / valueHeads, keyHeads, valueHeads };
}

/** The chunks of every sequence. */
export function chunksOf({ offsets }: SequenceLayout): readonly (readonly Chunk[])[] {
  let index = 0;
  return offsets.slice(1).map((end, s) => {
    const chunks: Chunk[] = [];
    for (let row = offsets[s] as number; row < end; row += tile, index += 1)
      chunks.push({ index, row, rows: Math.min(tile, end - row) });
    return chunks;
  });
}

/** Scratch for `counts` buffers of pairs, rows of keys, rows of values and states. */
export function ruleScratchBytes(
  { q, v, keyHeads, valueHeads }: Checked,
  counts: { readonly pairs: number; keys: number; values: number; states: number },
): number {
  const [keys, values] = [q.dim(1) / keyHeads, v.dim(1) / valueHeads];
  const side = Math.max(tile, keys, values);
  return (
    counts.pairs * scratchBytes(tile * tile * 4) +
    counts.keys * scratchBytes(tile * keys * 4) +
    counts.values * scratchBytes(tile * values * 4) +
    counts.states * scratchBytes(keys * values * 4) +
    productScratchBytes(side, side, side, 4)
  );
}

export function takeRows({ scratch }: CpuContext, rows: number, columns: number): Rows {
  const elements = rows * columns;
  return { data: scratch.float32(scratch.take(elements * 4), elements), stride: columns };
}

/**
 * The gates of a chunk's rows, and into `between` (rows, tile) exp of the decay after row j up to
 * row i, 0 for j > i. Exponents are never positive.
 */
export function readGates(
  { decay, strength }: Readonly<Record<'decay' | 'strength', Float32Array>>,
  { row, rows, head }: HeadChunk,
  heads: number,
  between: Rows,
): ChunkGates {
  const [sums, strengths] = [new Float64Array(rows), new Float64Array(rows)];
  for (let i = 0, sum = 0, j = row * heads + head; i < rows; i += 1, j += heads) {
    sums[i] = sum += decay[j] as number;
    strengths[i] = strength[j] as number;
  }
  const end = sums[rows - 1] as number;
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0; j < rows; j += 1)
      between.data[i * tile + j] = j > i ? 0 : Math.exp((sums[i] as number) - (sums[j] as number));
  }
  return {
    fromStart: sums.map(Math.exp),
    toEnd: sums.map((sum) => Math.exp(end - sum)),
    whole: Math.exp(end),
    strength: strengths,
  };
}

/** out = alpha · op(a) · op(b), added to where told so. */
export function multiply(
  { sgemm }: Bound,
  [m, n, k]: readonly [number, number, number],
  operands: Pick<ProductOptions<Float32Array>, 'a' | 'b' | 'out'> & Partial<Product>,
): void {
  sgemm({ m, n, k, alpha: 1, accumulate: false, ...operands });
}

type Product = ProductOptions<Float32Array>;

/** How products are made. */
export interface Bound {
  readonly sgemm: (options: Product) => void;
}

export function bind(linearAlgebra: LinearAlgebra): Bound {
  return { sgemm: (options) => linearAlgebra.sgemm(options) };
}

/** The matrix from some row and column on. */
function from({ data, stride }: Rows, row: number, column: number): Rows {
  return { data: data.subarray(row * stride + column), stride };
}

/** x (rows, columns) becomes (I + L)⁻¹ x, L being what is below the diagonal of `lower`. */
export function solveLower(
  bound: Bound,
  lower: Rows,
  x: Rows,
  [rows, columns]: readonly [number, number],
): void {
  for (let start = 0; start < rows; start += solveRows) {
    const count = Math.min(solveRows, rows - start);
    if (start > 0)
      multiply(bound, [count, columns, start], {
        ...{ a: from(lower, start, 0), b: x, out: from(x, start, 0), alpha: -1 },
        accumulate: true,
      });
    for (let i = start + 1; i < start + count; i += 1)
      subtractRows(lower, x, { row: i, step: 1, first: start, end: i }, columns);
  }
}

/** x becomes (I + L)⁻ᵀ x. */
export function solveLowerTransposed(
  bound: Bound,
  lower: Rows,
  x: Rows,
  [rows, columns]: readonly [number, number],
): void {
  const last = Math.floor((rows - 1) / solveRows) * solveRows;
  for (let start = last; start >= 0; start -= solveRows) {
    const end = Math.min(rows, start + solveRows);
    if (end < rows)
      multiply(bound, [end - start, columns, rows - end], {
        ...{ a: from(lower, end, start), transposeA: true, b: from(x, end, 0) },
        ...{ out: from(x, start, 0), alpha: -1, accumulate: true },
      });
    for (let i = end - 2; i >= start; i -= 1)
      subtractRows(lower, x, { row: i, step: tile, first: i + 1, end }, columns);
  }
}

/** x[row] −= Σ_j factor_j x[j], factors in a row of `lower` (step 1) or a column; in float64. */
function subtractRows(
  { data: factors }: Rows,
  { data, stride }: Rows,
  { row, step, first, end }: { row: number; step: number; first: number; end: number },
  columns: number,
): void {
  const start = step === 1 ? row * tile : row;
  for (let column = 0; column < columns; column += 1) {
    let value = data[row * stride + column] as number;
    for (let j = first; j < end; j += 1)
      value -= (factors[start + j * step] as number) * (data[j * stride + column] as number);
    data[row * stride + column] = value;
  }
}

/** to[i] = factor[i] · x[i] over rows; `to` may be `x`. */
export function scaleRows(x: Rows, factors: Float64Array, columns: number, to: Rows): void {
  for (let i = 0; i < factors.length; i += 1) {
    const [factor, source, target] = [factors[i] as number, i * x.stride, i * to.stride];
    for (let j = 0; j < columns; j += 1)
      to.data[target + j] = factor * (x.data[source + j] as number);
  }
}

/** Σ_j a[i, j] b[i, j] of every row, in float64. */
export function rowDots(a: Rows, b: Rows, [rows, columns]: readonly [number, number]) {
  return Float64Array.from({ length: rows }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < columns; j += 1)
      sum += (a.data[i * a.stride + j] as number) * (b.data[i * b.stride + j] as number);
    return sum;
  });
}
