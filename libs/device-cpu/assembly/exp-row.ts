import { exp1, exp4 } from './exp';
import { high2, low2, quadBytes } from './float64';

/** x[i] = e^(x[i] - shift) for `count` float32 at address x. Returns their sum, added up in float64. */
export function expRow(x: usize, count: i32, shift: f32): f64 {
  const shifts = f32x4.splat(shift);
  let low = f64x2.splat(0), high = f64x2.splat(0);
  const end = x + (<usize>count << 2);
  const endOfQuads = x + quadBytes(count);
  while (x + 16 < endOfQuads) {
    const e = exp4(f32x4.sub(v128.load(x), shifts));
    const f = exp4(f32x4.sub(v128.load(x, 16), shifts));
    v128.store(x, e);
    v128.store(x, f, 16);
    low = f64x2.add(f64x2.add(low, low2(e)), low2(f));
    high = f64x2.add(f64x2.add(high, high2(e)), high2(f));
    x += 32;
  }
  if (x < endOfQuads) {
    const e = exp4(f32x4.sub(v128.load(x), shifts));
    v128.store(x, e);
    low = f64x2.add(low, low2(e));
    high = f64x2.add(high, high2(e));
    x += 16;
  }
  low = f64x2.add(low, high);
  let sum = f64x2.extract_lane(low, 0) + f64x2.extract_lane(low, 1);
  while (x < end) {
    const e = exp1(load<f32>(x) - shift);
    store<f32>(x, e);
    sum += <f64>e;
    x += 4;
  }
  return sum;
}

/** x[i] *= factor for `count` float32 at address x. */
export function scaleRow(x: usize, count: i32, factor: f32): void {
  const factors = f32x4.splat(factor);
  const end = x + (<usize>count << 2);
  const endOfQuads = x + (<usize>(count & ~3) << 2);
  while (x < endOfQuads) {
    v128.store(x, f32x4.mul(v128.load(x), factors));
    x += 16;
  }
  while (x < end) {
    store<f32>(x, load<f32>(x) * factor);
    x += 4;
  }
}

/** The largest of `count` float32 at address x; NaN are passed over. */
export function maxRow(x: usize, count: i32): f32 {
  let m0 = f32x4.splat(-Infinity as f32), m1 = m0, m2 = m0, m3 = m0;
  const end = x + (<usize>count << 2);
  const endOfSixteens = x + (<usize>(count & ~15) << 2);
  while (x < endOfSixteens) {
    m0 = f32x4.pmax(m0, v128.load(x));
    m1 = f32x4.pmax(m1, v128.load(x, 16));
    m2 = f32x4.pmax(m2, v128.load(x, 32));
    m3 = f32x4.pmax(m3, v128.load(x, 48));
    x += 64;
  }
  const maxima = f32x4.pmax(f32x4.pmax(m0, m1), f32x4.pmax(m2, m3));
  let largest = f32x4.extract_lane(maxima, 0);
  largest = larger(largest, f32x4.extract_lane(maxima, 1));
  largest = larger(largest, f32x4.extract_lane(maxima, 2));
  largest = larger(largest, f32x4.extract_lane(maxima, 3));
  while (x < end) {
    largest = larger(largest, load<f32>(x));
    x += 4;
  }
  return largest;
}

// @ts-ignore: decorator
@inline
function larger(a: f32, b: f32): f32 {
  return a < b ? b : a;
}

/** Index of the first of `count` float32 at address x that equals `value`; 0 when none does. */
export function indexOf(x: usize, count: i32, value: f32): i32 {
  const values = f32x4.splat(value);
  let i = 0;
  while (i + 4 <= count && !v128.any_true(f32x4.eq(v128.load(x + (<usize>i << 2)), values))) i += 4;
  for (; i < count; i += 1) {
    if (load<f32>(x + (<usize>i << 2)) == value) return i;
  }
  return 0;
}
