import { exp1, exp4 } from './exp';

/** x[i] = e^(x[i] - shift) for `count` float32 at address x. Returns their sum, added up in float64. */
export function expRow(x: usize, count: i32, shift: f32): f64 {
  const shifts = f32x4.splat(shift);
  let low = f64x2.splat(0), high = f64x2.splat(0);
  const end = x + (<usize>count << 2);
  const endOfQuads = x + (<usize>(count & ~3) << 2);
  while (x < endOfQuads) {
    const e = exp4(f32x4.sub(v128.load(x), shifts));
    v128.store(x, e);
    low = f64x2.add(low, f64x2.promote_low_f32x4(e));
    high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<i32>(e, e, 2, 3, 2, 3)));
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
  let maxima = f32x4.splat(-Infinity as f32);
  const end = x + (<usize>count << 2);
  const endOfQuads = x + (<usize>(count & ~3) << 2);
  while (x < endOfQuads) {
    maxima = f32x4.pmax(maxima, v128.load(x));
    x += 16;
  }
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
  for (let i = 0; i < count; i += 1) {
    if (load<f32>(x + (<usize>i << 2)) == value) return i;
  }
  return 0;
}
