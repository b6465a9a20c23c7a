import { scratchBytes } from '../scratch.js';

/**
 * Elements of packed blocks of a, and of unpacked ones of a, b and out; those of packed ones of b.
 * Together they take 384 KiB of a cache in float32.
 */
const mostElements = 16_384;
const mostPackedB = 65_536;
const mostInner = 256;
/** Columns of out at once: all of them, which lie side by side, or fewer. */
const mostColumns = 2048;
const fewColumns = 256;

/** A strip of a packed block of a has at most as many rows. */
const mostStripRows = 5;
/** What hangs over the edges of out is computed in a tile with rows of 32 bytes. */
const tileBytes = 32 * mostStripRows;

/** Columns of a strip of a packed block of b. */
export function stripColumns(elementBytes: 4 | 8): 4 | 8 {
  return elementBytes === 4 ? 8 : 4;
}

/** How a product is divided. */
export interface BlockExtents {
  readonly rows: number;
  readonly columns: number;
  /** Decides in which order an element of out is summed, and depends on k alone. */
  readonly inner: number;
}

export function blockExtents(
  [m, n, k]: readonly [m: number, n: number, k: number],
  { elementBytes, stripRows }: { readonly elementBytes: 4 | 8; readonly stripRows: number },
): BlockExtents {
  const strip = stripColumns(elementBytes);
  const inner = evenly(k, mostInner, 4);
  const fits = n <= mostColumns && ceilTo(n, strip) * inner <= mostPackedB;
  const columns = fits ? n : evenly(n, fewColumns, strip);
  const mostRows = Math.floor(mostElements / Math.max(columns, inner) / stripRows) * stripRows;
  return { rows: evenly(m, mostRows, stripRows), columns, inner };
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

/** Smaller products need no more. */
export function blockSizes(m: number, n: number, k: number, elementBytes: 4 | 8): BlockSizes {
  const inner = Math.min(k, mostInner);
  return {
    packedA: Math.min((m + mostStripRows - 1) * inner, mostElements),
    packedB: Math.min(ceilTo(n, stripColumns(elementBytes)) * inner, mostPackedB),
    area: Math.min(Math.max(m, 8) * Math.max(n, inner), mostElements),
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
