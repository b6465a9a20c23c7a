import { multiplyAdd2 } from './multiply-add';
import { packColumns, packRows } from './pack';
import { copyTile } from './tile';

export function dpackRows(from: usize, stride: i32, count: i32, depth: i32, strip: i32, to: usize): void {
  packRows<f64>(from, stride, count, depth, strip, to);
}

export function dpackColumns(from: usize, stride: i32, rows: i32, count: i32, depth: i32, strip: i32, to: usize): void {
  packColumns<f64>(from, stride, rows, count, depth, strip, to);
}

/** As `sgemmBlock`, for float64 and strips of 4 columns. */
export function dgemmBlock(
  rows: i32, columns: i32, k: i32, a: usize, b: usize, c: usize, stride: i32, alpha: f64, accumulate: bool, tile: usize,
): void {
  const cBytes = <usize>stride << 3;
  for (let column = 0; column < columns; column += 4) {
    const bStrip = b + ((<usize>column * <usize>k) << 3);
    const width = min(4, columns - column);
    for (let row = 0; row < rows; row += 4) {
      const aStrip = a + ((<usize>row * <usize>k) << 3);
      const target = c + <usize>row * cBytes + (<usize>column << 3);
      const height = min(4, rows - row);
      const isWhole = width == 4 && height == 4;
      if (!isWhole && accumulate) copyTile<f64>(target, cBytes, tile, 32, height, width);
      multiplyStrips(k, aStrip, bStrip, isWhole ? target : tile, isWhole ? cBytes : 32, alpha, accumulate);
      if (!isWhole) copyTile<f64>(tile, 32, target, cBytes, height, width);
    }
  }
}

// @ts-ignore: decorator
@inline
function multiplyStrips(k: i32, a: usize, b: usize, c: usize, stride: usize, alpha: f64, accumulate: bool): void {
  let c00 = f64x2.splat(0), c01 = f64x2.splat(0);
  let c10 = f64x2.splat(0), c11 = f64x2.splat(0);
  let c20 = f64x2.splat(0), c21 = f64x2.splat(0);
  let c30 = f64x2.splat(0), c31 = f64x2.splat(0);
  const end = a + (<usize>k << 5);
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load64_splat(a);
    c00 = multiplyAdd2(x, b0, c00);
    c01 = multiplyAdd2(x, b1, c01);
    x = v128.load64_splat(a, 8);
    c10 = multiplyAdd2(x, b0, c10);
    c11 = multiplyAdd2(x, b1, c11);
    x = v128.load64_splat(a, 16);
    c20 = multiplyAdd2(x, b0, c20);
    c21 = multiplyAdd2(x, b1, c21);
    x = v128.load64_splat(a, 24);
    c30 = multiplyAdd2(x, b0, c30);
    c31 = multiplyAdd2(x, b1, c31);
    a += 32;
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
function storeRow(c: usize, low: v128, high: v128, alpha: f64, accumulate: bool): void {
  const factor = f64x2.splat(alpha);
  low = f64x2.mul(factor, low);
  high = f64x2.mul(factor, high);
  v128.store(c, accumulate ? f64x2.add(v128.load(c), low) : low);
  v128.store(c, accumulate ? f64x2.add(v128.load(c, 16), high) : high, 16);
}
