import { packColumns, packRows } from './pack';
import { multiplyFive, multiplyFour } from './sgemm-strips';
import { copyTile } from './tile';

export function spackRows(from: usize, stride: i32, count: i32, depth: i32, strip: i32, to: usize): void {
  packRows<f32>(from, stride, count, depth, strip, to);
}

export function spackColumns(from: usize, stride: i32, rows: i32, count: i32, depth: i32, strip: i32, to: usize): void {
  packColumns<f32>(from, stride, rows, count, depth, strip, to);
}

/** Rows of a strip of `a`. */
const stripRows: i32 = ASC_FEATURE_RELAXED_SIMD ? 5 : 4;

export function sgemmStripRows(): i32 {
  return stripRows;
}

/**
 * c = alpha a · b, or c += alpha a · b, for packed blocks of float32: `a` in strips of `sgemmStripRows` rows, `b` in strips of 8 columns. c
 * is row-major (rows, columns) with `stride` elements from row to row. `tile` has 160 bytes for what hangs over c's edges. Addresses are in
 * bytes.
 */
export function sgemmBlock(
  rows: i32, columns: i32, k: i32, a: usize, b: usize, c: usize, stride: i32, alpha: f32, accumulate: bool, tile: usize,
): void {
  const cBytes = <usize>stride << 2;
  for (let column = 0; column < columns; column += 8) {
    const bStrip = b + ((<usize>column * <usize>k) << 2);
    const width = min(8, columns - column);
    for (let row = 0; row < rows; row += stripRows) {
      const aStrip = a + ((<usize>row * <usize>k) << 2);
      const target = c + <usize>row * cBytes + (<usize>column << 2);
      const height = min(stripRows, rows - row);
      const isWhole = width == 8 && height == stripRows;
      if (!isWhole && accumulate) copyTile<f32>(target, cBytes, tile, 32, height, width);
      const out = isWhole ? target : tile;
      const outBytes = isWhole ? cBytes : 32;
      if (ASC_FEATURE_RELAXED_SIMD) multiplyFive(k, aStrip, bStrip, out, outBytes, alpha, accumulate);
      else multiplyFour(k, aStrip, bStrip, out, outBytes, alpha, accumulate);
      if (!isWhole) copyTile<f32>(tile, 32, target, cBytes, height, width);
    }
  }
}
