import { scratchBytes } from '../scratch.js';

/**
 * The most rows of a packed block of a, columns of one of b, and inner extent of both: float32
 * blocks stay in a cache of 512 KiB.
 */
const mostRows = 128;
const mostColumns = 256;
const mostInner = 256;

/** Rows of a strip of a packed block of a. */
export const stripRows = 4;
/** What hangs over the edges of out is computed in a tile of 4 strips of 32 bytes. */
const tileBytes = 128;

/** Columns of a strip of a packed block of b. */
export function stripColumns(elementBytes: 4 | 8): 4 | 8 {
  return elementBytes === 4 ? 8 : 4;
}

/** How a product is divided. Each extent is decided by one of the product's alone. */
export interface BlockExtents {
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
}

export function blockExtents(m: number, n: number, k: number, elementBytes: 4 | 8): BlockExtents {
  return {
    rows: evenly(m, mostRows, stripRows),
    columns: evenly(n, mostColumns, stripColumns(elementBytes)),
    inner: evenly(k, mostInner, 4),
  };
}

/** The largest of parts that are as large as each other, multiples of `multiple` where several. */
function evenly(total: number, most: number, multiple: number): number {
  if (total <= most) return total;
  return ceilTo(total / Math.ceil(total / most), multiple);
}

function ceilTo(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

/** Elements of a product's scratch arrays. */
export interface BlockSizes {
  readonly packedA: number;
  readonly packedB: number;
  /** Room for a block of out, one of a, or at least 8 rows or columns of one of b, unpacked. */
  readonly area: number;
  readonly tile: number;
}

/** Of the largest blocks: those of smaller products never need more. */
export function blockSizes(m: number, n: number, k: number, elementBytes: 4 | 8): BlockSizes {
  const [rows, columns, inner] = [
    Math.min(m, mostRows),
    Math.min(n, mostColumns),
    Math.min(k, mostInner),
  ];
  return {
    packedA: ceilTo(rows, stripRows) * inner,
    packedB: ceilTo(columns, stripColumns(elementBytes)) * inner,
    area: Math.max(rows, 8) * Math.max(columns, inner),
    tile: tileBytes / elementBytes,
  };
}

/** Scratch bytes of a product. */
export function productScratchBytes(m: number, n: number, k: number, elementBytes: 4 | 8): number {
  const { packedA, packedB, area, tile } = blockSizes(m, n, k, elementBytes);
  return [packedA, packedB, area, tile].reduce(
    (sum, elements) => sum + scratchBytes(elements * elementBytes),
    0,
  );
}
