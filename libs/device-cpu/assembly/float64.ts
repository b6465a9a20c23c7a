/** The first two of four float32, widened. */
// @ts-ignore: decorator
@inline
export function low2(x: v128): v128 {
  return f64x2.promote_low_f32x4(x);
}

/** The last two. */
// @ts-ignore: decorator
@inline
export function high2(x: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i32>(x, x, 2, 3, 2, 3));
}

/** Four float64 rounded to float32. */
// @ts-ignore: decorator
@inline
export function narrow4(low: v128, high: v128): v128 {
  return v128.shuffle<i32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
}

/** Four sums side by side, added pairwise. */
// @ts-ignore: decorator
@inline
export function total4(low: v128, high: v128): f64 {
  const pair = f64x2.extract_lane(low, 0) + f64x2.extract_lane(low, 1);
  return pair + (f64x2.extract_lane(high, 0) + f64x2.extract_lane(high, 1));
}

/** Bytes of the whole vectors in `count` float32. */
// @ts-ignore: decorator
@inline
export function quadBytes(count: i32): usize {
  return <usize>(count & ~3) << 2;
}

/** Σ a[i] b[i] of float32 in float64, four sums side by side. */
// @ts-ignore: decorator
@inline
export function dot(a: usize, b: usize, count: i32): f64 {
  let low = f64x2.splat(0), high = f64x2.splat(0);
  const end = a + (<usize>count << 2);
  const endOfQuads = a + quadBytes(count);
  while (a < endOfQuads) {
    const x = v128.load(a), y = v128.load(b);
    low = f64x2.add(low, f64x2.mul(low2(x), low2(y)));
    high = f64x2.add(high, f64x2.mul(high2(x), high2(y)));
    a += 16;
    b += 16;
  }
  let first = f64x2.extract_lane(low, 0);
  while (a < end) {
    first += <f64>load<f32>(a) * <f64>load<f32>(b);
    a += 4;
    b += 4;
  }
  return total4(f64x2.replace_lane(low, 0, first), high);
}

/** Σ x[i]² of `count` float32 at address x, in float64, eight sums side by side. */
export function squaredSum(x: usize, count: i32): f64 {
  let s0 = f64x2.splat(0), s1 = f64x2.splat(0), s2 = f64x2.splat(0), s3 = f64x2.splat(0);
  const end = x + (<usize>count << 2);
  const endOfOctets = x + (<usize>(count & ~7) << 2);
  while (x < endOfOctets) {
    const a = v128.load(x), b = v128.load(x, 16);
    const a0 = low2(a), a1 = high2(a), b0 = low2(b), b1 = high2(b);
    s0 = f64x2.add(s0, f64x2.mul(a0, a0));
    s1 = f64x2.add(s1, f64x2.mul(a1, a1));
    s2 = f64x2.add(s2, f64x2.mul(b0, b0));
    s3 = f64x2.add(s3, f64x2.mul(b1, b1));
    x += 32;
  }
  let rest: f64 = 0;
  while (x < end) {
    const a = <f64>load<f32>(x);
    rest += a * a;
    x += 4;
  }
  return total4(f64x2.add(s0, s2), f64x2.add(s1, s3)) + rest;
}
