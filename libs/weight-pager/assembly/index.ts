/** Numbers that share a scale; the arrays have whole blocks. */
const block = 64;

/** out[i] = x[i] for `count` bfloat16 at x, a multiple of 8, and float32 at out. */
export function widen(x: usize, count: i32, out: usize): void {
  const end = x + (<usize>count << 1);
  while (x < end) {
    const bits = v128.load(x);
    v128.store(out, i32x4.shl(i32x4.extend_low_i16x8_u(bits), 16));
    v128.store(out, i32x4.shl(i32x4.extend_high_i16x8_u(bits), 16), 16);
    x += 16;
    out += 32;
  }
}

/** max |x| of a block; NaN where one is NaN. */
function largest(x: usize): f32 {
  let most = f32x4.splat(0);
  const end = x + (block << 2);
  while (x < end) {
    most = f32x4.max(most, f32x4.abs(v128.load(x)));
    x += 16;
  }
  return max(
    max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)),
    max(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3)),
  );
}

// @ts-ignore: decorator
@inline
function roundedInt8(x: usize, scales: v128): v128 {
  const code = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.div(v128.load(x), scales)));
  return i32x4.max_s(code, i32x4.splat(-127));
}

/** int8 codes and scales of `count` float32 at x; those of a block of zeros are 0. */
export function quantizeInt8(x: usize, count: i32, codes: usize, scales: usize): void {
  const end = x + (<usize>count << 2);
  while (x < end) {
    const scale = largest(x) / 127;
    store<f32>(scales, scale);
    scales += 4;
    // What is divided by infinity is 0.
    const divisors = f32x4.splat(scale == 0 ? Infinity as f32 : scale);
    const endOfBlock = x + (block << 2);
    while (x < endOfBlock) {
      const low = i16x8.narrow_i32x4_s(roundedInt8(x, divisors), roundedInt8(x + 16, divisors));
      const high = i16x8.narrow_i32x4_s(roundedInt8(x + 32, divisors), roundedInt8(x + 48, divisors));
      v128.store(codes, i8x16.narrow_i16x8_s(low, high));
      x += 64;
      codes += 16;
    }
  }
}

// @ts-ignore: decorator
@inline
function above(value: v128, boundary: f32, count: v128): v128 {
  return i32x4.sub(count, f32x4.gt(value, f32x4.splat(boundary)));
}

/** How many of the middles between neighbouring values are below x / scale: the nearest one's code. */
// @ts-ignore: decorator
@inline
function nearest(x: usize, scales: v128): v128 {
  const value = f32x4.div(v128.load(x), scales);
  let code = i32x4.splat(0);
  code = above(value, -0.8480964004993439, code);
  code = above(value, -0.6106329262256622, code);
  code = above(value, -0.4599952697753906, code);
  code = above(value, -0.33967943489551544, code);
  code = above(value, -0.23460740596055984, code);
  code = above(value, -0.13791173323988914, code);
  code = above(value, -0.045525018125772476, code);
  code = above(value, 0.03979014977812767, code);
  code = above(value, 0.1202552504837513, code);
  code = above(value, 0.2035212516784668, code);
  code = above(value, 0.2920137718319893, code);
  code = above(value, 0.3893125355243683, code);
  code = above(value, 0.5016634166240692, code);
  code = above(value, 0.6427869200706482, code);
  return above(value, 0.8614784181118011, code);
}

/** Codes of 16 numbers, one a byte. */
// @ts-ignore: decorator
@inline
function nearest16(x: usize, scales: v128): v128 {
  return i8x16.narrow_i16x8_u(
    i16x8.narrow_i32x4_u(nearest(x, scales), nearest(x + 16, scales)),
    i16x8.narrow_i32x4_u(nearest(x + 32, scales), nearest(x + 48, scales)),
  );
}

/** Two codes of a 16-bit lane in its lower byte. */
// @ts-ignore: decorator
@inline
function paired(codes: v128): v128 {
  return v128.or(
    v128.and(codes, i16x8.splat(0x0f)),
    v128.and(i16x8.shr_u(codes, 4), i16x8.splat(0xf0)),
  );
}

/** nf4 codes, two a byte, and scales of `count` float32 at x. */
export function quantizeNf4(x: usize, count: i32, codes: usize, scales: usize): void {
  const end = x + (<usize>count << 2);
  while (x < end) {
    const scale = largest(x);
    store<f32>(scales, scale);
    scales += 4;
    const divisors = f32x4.splat(scale == 0 ? Infinity as f32 : scale);
    const endOfBlock = x + (block << 2);
    while (x < endOfBlock) {
      const low = paired(nearest16(x, divisors));
      const high = paired(nearest16(x + 64, divisors));
      v128.store(codes, i8x16.narrow_i16x8_u(low, high));
      x += 128;
      codes += 16;
    }
  }
}
