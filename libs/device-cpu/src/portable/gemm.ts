import type { Matrix, ProductOptions } from '../linear-algebra.js';
import { type Scratch, scratchBytes } from '../scratch.js';

/** Rows of a packed block of a, columns of a packed block of b, and inner extent of both: together they stay in a 512 KiB cache. */
const blockRows = 64;
const blockColumns = 256;
const blockInner = 256;
const stripRows = 4;

type Elements = Float32Array | Float64Array;

/** How one element type is multiplied. */
export interface BlockKernel<T extends Elements> {
  readonly elementBytes: number;
  /** Columns of a strip of b. */
  readonly stripColumns: number;
  view(address: number, count: number): T;
  multiply(rows: number, columns: number, k: number, a: number, b: number, c: number): void;
}

function ceilTo(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

function blockExtents(m: number, n: number, k: number, stripColumns: number) {
  return {
    rows: ceilTo(Math.min(m, blockRows), stripRows),
    columns: ceilTo(Math.min(n, blockColumns), stripColumns),
    inner: Math.min(k, blockInner),
  };
}

/** Scratch bytes of a product: one packed block of each of a, b and out. */
export function productScratchBytes(m: number, n: number, k: number, elementBytes: 4 | 8): number {
  const { rows, columns, inner } = blockExtents(m, n, k, elementBytes === 4 ? 8 : 4);
  return scratchBytes(rows * inner * elementBytes) + scratchBytes(inner * columns * elementBytes) + scratchBytes(rows * columns * elementBytes);
}

/**
 * Blocked matrix product (Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008): blocks of a and b are packed
 * into strips, which is also where transposes are resolved, and a WebAssembly kernel multiplies packed blocks.
 */
export function blockedProduct<T extends Elements>(kernel: BlockKernel<T>, scratch: Scratch, options: ProductOptions<T>): void {
  const { m, n, k, a, b, out, alpha } = options;
  const { elementBytes, stripColumns } = kernel;
  const extents = blockExtents(m, n, k, stripColumns);
  const mark = scratch.mark;
  const [aBytes, bBytes] = [extents.rows * extents.inner * elementBytes, extents.inner * extents.columns * elementBytes];
  const [aAddress, bAddress, cAddress] = [scratch.take(aBytes), scratch.take(bBytes), scratch.take(extents.rows * extents.columns * elementBytes)];
  const packedA = kernel.view(aAddress, aBytes / elementBytes);
  const packedB = kernel.view(bAddress, bBytes / elementBytes);
  const block = kernel.view(cAddress, extents.rows * extents.columns);
  for (let column = 0; column < n; column += blockColumns) {
    const columns = Math.min(blockColumns, n - column);
    const paddedColumns = ceilTo(columns, stripColumns);
    for (let inner = 0; inner < k; inner += blockInner) {
      const depth = Math.min(blockInner, k - inner);
      pack(b, { start: column, count: columns, inner, depth, strip: stripColumns, acrossRows: options.transposeB === true }, packedB);
      for (let row = 0; row < m; row += blockRows) {
        const rows = Math.min(blockRows, m - row);
        pack(a, { start: row, count: rows, inner, depth, strip: stripRows, acrossRows: options.transposeA !== true }, packedA);
        kernel.multiply(ceilTo(rows, stripRows), paddedColumns, depth, aAddress, bAddress, cAddress);
        const target = { offset: row * out.stride + column, rows, columns, blockStride: paddedColumns, alpha, accumulate: options.accumulate || inner > 0 };
        store(block, out, target);
      }
    }
  }
  scratch.release(mark);
}

interface PackRange {
  /** First and number of outer indices (rows of op(a), columns of op(b)). */
  readonly start: number;
  readonly count: number;
  readonly inner: number;
  readonly depth: number;
  readonly strip: number;
  /** Whether the outer index counts rows of the matrix as stored. */
  readonly acrossRows: boolean;
}

/** Into strips of `strip` outer indices, inner index major, the last one padded with zeros. */
function pack<T extends Elements>({ data, stride }: Matrix<T>, { start, count, inner, depth, strip, acrossRows }: PackRange, out: T): void {
  const [outerStep, innerStep] = acrossRows ? [stride, 1] : [1, stride];
  const origin = start * outerStep + inner * innerStep;
  for (let outer = 0; outer < count; outer += strip) {
    const base = outer * depth;
    const width = Math.min(strip, count - outer);
    if (width < strip) out.fill(0, base, base + strip * depth);
    if (acrossRows) packRows(data, origin + outer * stride, stride, { width, depth, strip, base }, out);
    else packColumns(data, origin + outer, stride, { width, depth, strip, base }, out);
  }
}

interface Strip {
  readonly width: number;
  readonly depth: number;
  readonly strip: number;
  readonly base: number;
}

function packRows<T extends Elements>(data: T, origin: number, stride: number, { width, depth, strip, base }: Strip, out: T): void {
  for (let lane = 0; lane < width; lane += 1) {
    const from = origin + lane * stride;
    for (let i = 0, to = base + lane; i < depth; i += 1, to += strip) out[to] = data[from + i] as number;
  }
}

function packColumns<T extends Elements>(data: T, origin: number, stride: number, { width, depth, strip, base }: Strip, out: T): void {
  for (let i = 0; i < depth; i += 1) {
    const from = origin + i * stride;
    const to = base + i * strip;
    for (let lane = 0; lane < width; lane += 1) out[to + lane] = data[from + lane] as number;
  }
}

interface StoreTarget {
  readonly offset: number;
  readonly rows: number;
  readonly columns: number;
  readonly blockStride: number;
  readonly alpha: number;
  readonly accumulate: boolean;
}

function store<T extends Elements>(block: T, { data, stride }: Matrix<T>, { offset, rows, columns, blockStride, alpha, accumulate }: StoreTarget): void {
  for (let row = 0; row < rows; row += 1) {
    const from = row * blockStride;
    const to = offset + row * stride;
    if (!accumulate && alpha === 1) data.set(block.subarray(from, from + columns), to);
    else if (!accumulate) for (let j = 0; j < columns; j += 1) data[to + j] = alpha * (block[from + j] as number);
    else for (let j = 0; j < columns; j += 1) data[to + j] = (data[to + j] as number) + alpha * (block[from + j] as number);
  }
}
