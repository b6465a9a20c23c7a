import type { Elements, Matrix, ProductOptions } from '../linear-algebra.js';
import type { Scratch } from '../scratch.js';
import type { ProductKernels } from '../wasm.js';
import { blockExtents, blockSizes, stripColumns, type BlockExtents } from './blocks.js';
import { copyRows } from './copy-rows.js';

/** How one element type is multiplied. */
export interface BlockKernel<T extends Elements> extends ProductKernels {
  readonly elementBytes: 4 | 8;
  /** Rows of a strip of a packed block of a. */
  readonly stripRows: number;
  view(address: number, count: number): T;
}

/** What all blocks of a product share. */
interface Product<T extends Elements> {
  readonly kernel: BlockKernel<T>;
  readonly options: ProductOptions<T>;
  readonly extents: BlockExtents;
  /** Addresses of packed blocks and of what hangs over an edge. */
  readonly a: number;
  readonly b: number;
  readonly tile: number;
  /** Where blocks of operands lie that are not in the WebAssembly memory themselves. */
  readonly area: T;
}

/** Part of an operand, in rows and columns as it is stored. */
interface Block {
  readonly row: number;
  readonly column: number;
  readonly rows: number;
  readonly columns: number;
}

/** A block in the WebAssembly memory. */
interface Placed {
  readonly address: number;
  /** Elements from row to row. */
  readonly stride: number;
}

/** Places of a block in out and along the inner extent. */
interface Step {
  readonly row: number;
  readonly rows: number;
  readonly column: number;
  readonly columns: number;
  readonly inner: number;
  readonly depth: number;
}

/**
 * Blocked matrix product (Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication,
 * 2008): blocks of a and b are packed into strips, which is also where transposes are resolved, and
 * multiplied. An element of out is summed along k in one order, whatever m, n and transposes are:
 * a sum for each block of k, these added to out one after another.
 */
export function blockedProduct<T extends Elements>(
  kernel: BlockKernel<T>,
  scratch: Scratch,
  options: ProductOptions<T>,
): void {
  const { m, n, k } = options;
  const mark = scratch.mark;
  const product = openProduct(kernel, scratch, options);
  const { extents } = product;
  for (let column = 0; column < n; column += extents.columns) {
    const columns = Math.min(extents.columns, n - column);
    for (let inner = 0; inner < k; inner += extents.inner) {
      const depth = Math.min(extents.inner, k - inner);
      const step = { row: 0, rows: 0, column, columns, inner, depth };
      packB(product, step);
      for (let row = 0; row < m; row += extents.rows)
        multiplyBlock(product, { ...step, row, rows: Math.min(extents.rows, m - row) });
    }
  }
  scratch.release(mark);
}

function openProduct<T extends Elements>(
  kernel: BlockKernel<T>,
  scratch: Scratch,
  options: ProductOptions<T>,
): Product<T> {
  const { elementBytes } = kernel;
  const { m, n, k } = options;
  const extents = blockExtents([m, n, k], kernel);
  const sizes = blockSizes(m, n, k, elementBytes);
  return {
    kernel,
    options,
    extents,
    a: scratch.take(sizes.packedA * elementBytes),
    b: scratch.take(sizes.packedB * elementBytes),
    tile: scratch.take(sizes.tile * elementBytes),
    area: kernel.view(scratch.take(sizes.area * elementBytes), sizes.area),
  };
}

/** In parts, as many as the area has room for. */
function packB<T extends Elements>(
  product: Product<T>,
  { column, columns, inner, depth }: Step,
): void {
  const { kernel, options, area, b } = product;
  const strip = stripColumns(kernel.elementBytes);
  if (options.transposeB === true) {
    const most = strip * Math.floor(area.length / depth / strip);
    for (let start = 0; start < columns; start += most) {
      const count = Math.min(most, columns - start);
      const block = { row: column + start, column: inner, rows: count, columns: depth };
      const { address, stride } = place(product, options.b, block);
      const to = b + start * depth * kernel.elementBytes;
      kernel.packRows(address, stride, count, depth, strip, to);
    }
    return;
  }
  const most = Math.floor(area.length / columns);
  for (let start = 0; start < depth; start += most) {
    const rows = Math.min(most, depth - start);
    const { address, stride } = place(product, options.b, {
      ...{ row: inner + start, column, rows, columns },
    });
    const to = b + start * strip * kernel.elementBytes;
    kernel.packColumns(address, stride, rows, columns, depth, strip, to);
  }
}

function packA<T extends Elements>(product: Product<T>, { row, rows, inner, depth }: Step): void {
  const { kernel, options, a } = product;
  if (options.transposeA === true) {
    const block = { row: inner, column: row, rows: depth, columns: rows };
    const { address, stride } = place(product, options.a, block);
    kernel.packColumns(address, stride, depth, rows, depth, kernel.stripRows, a);
    return;
  }
  const block = { row, column: inner, rows, columns: depth };
  const { address, stride } = place(product, options.a, block);
  kernel.packRows(address, stride, rows, depth, kernel.stripRows, a);
}

function multiplyBlock<T extends Elements>(product: Product<T>, step: Step): void {
  const { kernel, options, a, b, tile, area } = product;
  const { row, rows, column, columns, inner, depth } = step;
  packA(product, step);
  const { data, stride } = options.out;
  const start = row * stride + column;
  const accumulate = options.accumulate || inner > 0;
  const multiply = (c: number, cStride: number): void =>
    kernel.multiplyBlock(rows, columns, depth, a, b, c, cStride, options.alpha, accumulate, tile);
  if (data.buffer === area.buffer) {
    multiply(data.byteOffset + start * kernel.elementBytes, stride);
    return;
  }
  const [outside, inside] = [
    { data, start, stride },
    { data: area, start: 0, stride: columns },
  ];
  if (accumulate) copyRows(outside, inside, rows, columns);
  multiply(area.byteOffset, columns);
  copyRows(inside, outside, rows, columns);
}

/** Where a block is, or a copy of it in the area. */
function place<T extends Elements>(
  { area, kernel }: Product<T>,
  { data, stride }: Matrix<T>,
  { row, column, rows, columns }: Block,
): Placed {
  const start = row * stride + column;
  if (data.buffer === area.buffer)
    return { address: data.byteOffset + start * kernel.elementBytes, stride };
  copyRows({ data, start, stride }, { data: area, start: 0, stride: columns }, rows, columns);
  return { address: area.byteOffset, stride: columns };
}
