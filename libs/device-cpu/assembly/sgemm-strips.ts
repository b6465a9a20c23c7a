import { multiplyAdd4 } from './multiply-add';

/**
 * Four rows of c from strips of 4 rows and 8 columns. Not unrolled: V8 (12) puts a block's loads first, and with those of one step all
 * registers of x86-64 are taken.
 */
// @ts-ignore: decorator
@inline
export function multiplyFour(k: i32, a: usize, b: usize, c: usize, stride: usize, alpha: f32, accumulate: bool): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  const end = a + (<usize>k << 4);
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = f32x4.add(c00, f32x4.mul(x, b0));
    c01 = f32x4.add(c01, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 4);
    c10 = f32x4.add(c10, f32x4.mul(x, b0));
    c11 = f32x4.add(c11, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 8);
    c20 = f32x4.add(c20, f32x4.mul(x, b0));
    c21 = f32x4.add(c21, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 12);
    c30 = f32x4.add(c30, f32x4.mul(x, b0));
    c31 = f32x4.add(c31, f32x4.mul(x, b1));
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

/**
 * Five rows likewise, for products and sums in one instruction: they take as long as a product and a sum together, so that more of them have
 * to be under way, and leave a register more. Shuffles stay where they are used, unlike loads.
 */
// @ts-ignore: decorator
@inline
export function multiplyFive(k: i32, a: usize, b: usize, c: usize, stride: usize, alpha: f32, accumulate: bool): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0);
  const end = a + <usize>k * 20;
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const quad = v128.load(a);
    let x = v128.shuffle<f32>(quad, quad, 0, 0, 0, 0);
    c00 = multiplyAdd4(x, b0, c00);
    c01 = multiplyAdd4(x, b1, c01);
    x = v128.shuffle<f32>(quad, quad, 1, 1, 1, 1);
    c10 = multiplyAdd4(x, b0, c10);
    c11 = multiplyAdd4(x, b1, c11);
    x = v128.shuffle<f32>(quad, quad, 2, 2, 2, 2);
    c20 = multiplyAdd4(x, b0, c20);
    c21 = multiplyAdd4(x, b1, c21);
    x = v128.shuffle<f32>(quad, quad, 3, 3, 3, 3);
    c30 = multiplyAdd4(x, b0, c30);
    c31 = multiplyAdd4(x, b1, c31);
    x = v128.load32_splat(a, 16);
    c40 = multiplyAdd4(x, b0, c40);
    c41 = multiplyAdd4(x, b1, c41);
    a += 20;
    b += 32;
  }
  storeRow(c, c00, c01, alpha, accumulate);
  c += stride;
  storeRow(c, c10, c11, alpha, accumulate);
  c += stride;
  storeRow(c, c20, c21, alpha, accumulate);
  c += stride;
  storeRow(c, c30, c31, alpha, accumulate);
  c += stride;
  storeRow(c, c40, c41, alpha, accumulate);
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
