import { high2, low2, narrow4 } from './float64';

/**
 * out[i] = x[i] · factor in float64, rounded once, where the random word of element i is at least `threshold`, and 0 elsewhere; added to
 * out[i] where `accumulate`. The words of elements 2 j and 2 j + 1 are those of Threefry-2x32 for the counter (first + j, stream) and
 * the key (k0, k1). In groups of 32 bytes: room for what fills the last one follows.
 */
export function dropoutRow(
  x: usize, out: usize, count: i32, first: i32, stream: i32, k0: i32, k1: i32, threshold: i32, factor: f64, accumulate: bool,
): void {
  const end = x + (<usize>count << 2);
  const k2 = 0x1bd11bda ^ k0 ^ k1;
  const thresholds = i32x4.splat(threshold);
  let counters = i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3));
  while (x < end) {
    // 13 rounds; a key word is added after every fourth.
    let a = i32x4.add(counters, i32x4.splat(k0));
    let b = i32x4.splat(stream + k1);
    a = i32x4.add(a, b);
    b = v128.xor(rotate(b, 13), a);
    a = i32x4.add(a, b);
    b = v128.xor(rotate(b, 15), a);
    a = i32x4.add(a, b);
    b = v128.xor(rotate(b, 26), a);
    a = i32x4.add(a, b);
    b = v128.xor(rotate(b, 6), a);
    a = i32x4.add(a, i32x4.splat(k1));
    b = i32x4.add(b, i32x4.splat(k2 + 1));
    a = i32x4.add(a, b);
    b = v128.xor(rotate(b, 17), a);
    a = i32x4.add(a, b);
    b = v128.xor(rotate(b, 29), a);
    a = i32x4.add(a, b);
    b = v128.xor(rotate(b, 16), a);
    a = i32x4.add(a, b);
    b = v128.xor(rotate(b, 24), a);
    a = i32x4.add(a, i32x4.splat(k2));
    b = i32x4.add(b, i32x4.splat(k0 + 2));
    a = i32x4.add(a, b);
    b = v128.xor(rotate(b, 13), a);
    a = i32x4.add(a, b);
    b = v128.xor(rotate(b, 15), a);
    a = i32x4.add(a, b);
    b = v128.xor(rotate(b, 26), a);
    a = i32x4.add(a, b);
    b = v128.xor(rotate(b, 6), a);
    a = i32x4.add(a, i32x4.splat(k0));
    b = i32x4.add(b, i32x4.splat(k1 + 3));
    a = i32x4.add(a, b);
    b = v128.xor(rotate(b, 17), a);
    a = i32x4.ge_u(a, thresholds);
    b = i32x4.ge_u(b, thresholds);
    place(x, out, v128.shuffle<i32>(a, b, 0, 4, 1, 5), factor, accumulate);
    place(x + 16, out + 16, v128.shuffle<i32>(a, b, 2, 6, 3, 7), factor, accumulate);
    counters = i32x4.add(counters, i32x4.splat(4));
    x += 32;
    out += 32;
  }
}

// @ts-ignore: decorator
@inline
function rotate(x: v128, bits: i32): v128 {
  return v128.or(i32x4.shl(x, bits), i32x4.shr_u(x, 32 - bits));
}

// @ts-ignore: decorator
@inline
function place(x: usize, out: usize, kept: v128, factor: f64, accumulate: bool): void {
  const values = v128.load(x), factors = f64x2.splat(factor);
  let low = v128.and(f64x2.mul(low2(values), factors), i64x2.extend_low_i32x4_s(kept));
  let high = v128.and(f64x2.mul(high2(values), factors), i64x2.extend_high_i32x4_s(kept));
  if (accumulate) {
    const before = v128.load(out);
    low = f64x2.add(low2(before), low);
    high = f64x2.add(high2(before), high);
  }
  v128.store(out, narrow4(low, high));
}
