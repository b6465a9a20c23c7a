import type { Elements, Matrix, ProductOptions } from '../linear-algebra.js';
import { scratchBytes, type Scratch } from '../scratch.js';
import { pack } from './pack.js';

/**
 * Rows of a packed block of a, columns of a packed block of b, and inner extent of both: together
 * they stay in a 512 KiB cache.
 */
const blockRows = 64;
const blockColumns = 256;
const blockInner = 256;
const stripRows = 4;

/** How one element type is multiplied. */
export interface BlockKernel<T extends Elements> {
  readonly elementBytes: number;
  /** Columns of a strip of b. */
  readonly stripColumns: 4 | 8;
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
  return (
    scratchBytes(rows * inner * elementBytes) +
    scratchBytes(inner * columns * elementBytes) +
    scratchBytes(rows * columns * elementBytes)
  );
}

/**
 * Blocked matrix product (Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication,
 * 2008): blocks of a and b are packed into strips, which is also where transposes are resolved, and
 * a WebAssembly kernel multiplies packed blocks.
 */
export function blockedProduct<T extends Elements>(
  kernel: BlockKernel<T>,
  scratch: Scratch,
  options: ProductOptions<T>,
): void {
  const { m, n, k, a, b, out, alpha } = options;
  const { elementBytes, stripColumns } = kernel;
  const extents = blockExtents(m, n, k, stripColumns);
  const mark = scratch.mark;
  const [aBytes, bBytes] = [
    extents.rows * extents.inner * elementBytes,
    extents.inner * extents.columns * elementBytes,
  ];
  const [aAddress, bAddress, cAddress] = [
    scratch.take(aBytes),
    scratch.take(bBytes),
    scratch.take(extents.rows * extents.columns * elementBytes),
  ];
  const packedA = kernel.view(aAddress, aBytes / elementBytes);
  const packedB = kernel.view(bAddress, bBytes / elementBytes);
  const block = kernel.view(cAddress, extents.rows * extents.columns);
  for (let column = 0; column < n; column += blockColumns) {
    const columns = Math.min(blockColumns, n - column);
    const paddedColumns = ceilTo(columns, stripColumns);
    for (let inner = 0; inner < k; inner += blockInner) {
      const depth = Math.min(blockInner, k - inner);
      pack(
        b,
        {
          start: column,
          count: columns,
          inner,
          depth,
          strip: stripColumns,
          acrossRows: options.transposeB === true,
        },
        packedB,
      );
      for (let row = 0; row < m; row += blockRows) {
        const rows = Math.min(blockRows, m - row);
        pack(
          a,
          {
            start: row,
            count: rows,
            inner,
            depth,
            strip: stripRows,
            acrossRows: options.transposeA !== true,
          },
          packedA,
        );
        kernel.multiply(
          ceilTo(rows, stripRows),
          paddedColumns,
          depth,
          aAddress,
          bAddress,
          cAddress,
        );
        const target = {
          offset: row * out.stride + column,
          rows,
          columns,
          blockStride: paddedColumns,
          alpha,
          accumulate: options.accumulate || inner > 0,
        };
        store(block, out, target);
      }
    }
  }
  scratch.release(mark);
}

interface StoreTarget {
  readonly offset: number;
  readonly rows: number;
  readonly columns: number;
  readonly blockStride: number;
  readonly alpha: number;
  readonly accumulate: boolean;
}

function store<T extends Elements>(
  block: T,
  { data, stride }: Matrix<T>,
  { offset, rows, columns, blockStride, alpha, accumulate }: StoreTarget,
): void {
  for (let row = 0; row < rows; row += 1) {
    const from = row * blockStride;
    const to = offset + row * stride;
    if (!accumulate && alpha === 1) data.set(block.subarray(from, from + columns), to);
    else if (!accumulate)
      for (let j = 0; j < columns; j += 1) data[to + j] = alpha * (block[from + j] as number);
    else
      for (let j = 0; j < columns; j += 1)
        data[to + j] = (data[to + j] as number) + alpha * (block[from + j] as number);
  }
}
