import { multiplyAdd4 } from './multiply-add';
import { packColumns, packRows } from './pack';
import { copyTile } from './tile';

export function spackRows(from: usize, stride: i32, count: i32, depth: i32, strip: i32, to: usize): void {
  packRows<f32>(from, stride, count, depth, strip, to);
}

export function spackColumns(from: usize, stride: i32, rows: i32, count: i32, depth: i32, strip: i32, to: usize): void {
  packColumns<f32>(from, stride, rows, count, depth, strip, to);
}

/**
 * c = alpha a · b, or c += alpha a · b, for packed blocks of float32: `a` in strips of 4 rows, `b` in strips of 8 columns. c is row-major
 * (rows, columns) with `stride` elements from row to row. `tile` has 128 bytes for what hangs over c's edges. Addresses are in bytes.
 */
export function sgemmBlock(
  rows: i32, columns: i32, k: i32, a: usize, b: usize, c: usize, stride: i32, alpha: f32, accumulate: bool, tile: usize,
): void {
  const cBytes = <usize>stride << 2;
  for (let column = 0; column < columns; column += 8) {
    const bStrip = b + ((<usize>column * <usize>k) << 2);
    const width = min(8, columns - column);
    for (let row = 0; row < rows; row += 4) {
      const aStrip = a + ((<usize>row * <usize>k) << 2);
      const target = c + <usize>row * cBytes + (<usize>column << 2);
      const height = min(4, rows - row);
      const isWhole = width == 8 && height == 4;
      if (!isWhole && accumulate) copyTile<f32>(target, cBytes, tile, 32, height, width);
      multiplyStrips(k, aStrip, bStrip, isWhole ? target : tile, isWhole ? cBytes : 32, alpha, accumulate);
      if (!isWhole) copyTile<f32>(tile, 32, target, cBytes, height, width);
    }
  }
}

// @ts-ignore: decorator
@inline
function multiplyStrips(k: i32, a: usize, b: usize, c: usize, stride: usize, alpha: f32, accumulate: bool): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  const end = a + (<usize>k << 4);
  // Not unrolled: V8 puts a block's loads first, and those of one step are as many as there are registers for.
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = multiplyAdd4(x, b0, c00);
    c01 = multiplyAdd4(x, b1, c01);
    x = v128.load32_splat(a, 4);
    c10 = multiplyAdd4(x, b0, c10);
    c11 = multiplyAdd4(x, b1, c11);
    x = v128.load32_splat(a, 8);
    c20 = multiplyAdd4(x, b0, c20);
    c21 = multiplyAdd4(x, b1, c21);
    x = v128.load32_splat(a, 12);
    c30 = multiplyAdd4(x, b0, c30);
    c31 = multiplyAdd4(x, b1, c31);
    a += 16;
    b += 32;
  }
  storeRow(c, c00, c01, alpha, accumulate);
  c += stride;
  storeRow(c, c10, c11, alpha, accumulate);
  c += stride;
  storeRow(c, c20, c21, alpha, accumulate);
  c += stride;
  storeRow(c, c30, c31, alpha, accumulate);
}

// @ts-ignore: decorator
@inline
function storeRow(c: usize, low: v128, high: v128, alpha: f32, accumulate: bool): void {
  const factor = f32x4.splat(alpha);
  low = f32x4.mul(factor, low);
  high = f32x4.mul(factor, high);
  v128.store(c, accumulate ? f32x4.add(v128.load(c), low) : low);
  v128.store(c, accumulate ? f32x4.add(v128.load(c, 16), high) : high, 16);
}
