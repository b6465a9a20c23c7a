import { high2, low2, narrow4 } from './float64';

/**
 * Turns pairs of the heads of float32 rows in place: (a, b) becomes (a c − b s, b c + a s), each rounded once. Every row has `half`
 * cosines and sines; sines count times `sign`. A head's pairs are i and i + half, or 2 i and 2 i + 1 where `adjacent`.
 */
export function ropeRows(
  x: usize, rows: i32, heads: i32, headDim: i32, cosines: usize, sines: usize, half: i32, sign: f64, adjacent: bool,
): void {
  const headBytes = <usize>headDim << 2;
  for (let row = 0; row < rows; row += 1) {
    for (let head = 0; head < heads; head += 1) {
      if (adjacent) turnAdjacent(x, cosines, sines, half, sign);
      else turnHalves(x, cosines, sines, half, sign);
      x += headBytes;
    }
    cosines += <usize>half << 2;
    sines += <usize>half << 2;
  }
}

// @ts-ignore: decorator
@inline
function turnHalves(x: usize, cosines: usize, sines: usize, half: i32, sign: f64): void {
  const gap = <usize>half << 2;
  const end = x + gap;
  const endOfQuads = x + (<usize>(half & ~3) << 2);
  const signs = f64x2.splat(sign);
  while (x < endOfQuads) {
    const a = v128.load(x), b = v128.load(x + gap);
    const c = v128.load(cosines), s = v128.load(sines);
    const lowSines = f64x2.mul(signs, low2(s)), highSines = f64x2.mul(signs, high2(s));
    v128.store(x, narrow4(
      f64x2.sub(f64x2.mul(low2(a), low2(c)), f64x2.mul(low2(b), lowSines)),
      f64x2.sub(f64x2.mul(high2(a), high2(c)), f64x2.mul(high2(b), highSines)),
    ));
    v128.store(x + gap, narrow4(
      f64x2.add(f64x2.mul(low2(b), low2(c)), f64x2.mul(low2(a), lowSines)),
      f64x2.add(f64x2.mul(high2(b), high2(c)), f64x2.mul(high2(a), highSines)),
    ));
    x += 16;
    cosines += 16;
    sines += 16;
  }
  while (x < end) {
    turnPair(x, x + gap, cosines, sines, sign);
    x += 4;
    cosines += 4;
    sines += 4;
  }
}

// @ts-ignore: decorator
@inline
function turnAdjacent(x: usize, cosines: usize, sines: usize, half: i32, sign: f64): void {
  const end = x + (<usize>half << 3);
  const endOfQuads = x + (<usize>(half & ~1) << 3);
  // (a, b, a', b'): the first of a pair takes −s, the second s.
  const signs = f64x2(-sign, sign);
  while (x < endOfQuads) {
    const pairs = v128.load(x);
    const c = f64x2.promote_low_f32x4(v128.load64_zero(cosines)), s = f64x2.promote_low_f32x4(v128.load64_zero(sines));
    const first = low2(pairs), second = high2(pairs);
    const firstSines = f64x2.mul(signs, v128.shuffle<i64>(s, s, 0, 0)), secondSines = f64x2.mul(signs, v128.shuffle<i64>(s, s, 1, 1));
    v128.store(x, narrow4(
      f64x2.add(f64x2.mul(first, v128.shuffle<i64>(c, c, 0, 0)), f64x2.mul(v128.shuffle<i64>(first, first, 1, 0), firstSines)),
      f64x2.add(f64x2.mul(second, v128.shuffle<i64>(c, c, 1, 1)), f64x2.mul(v128.shuffle<i64>(second, second, 1, 0), secondSines)),
    ));
    x += 16;
    cosines += 8;
    sines += 8;
  }
  if (x < end) turnPair(x, x + 4, cosines, sines, sign);
}

// @ts-ignore: decorator
@inline
function turnPair(first: usize, second: usize, cosine: usize, sine: usize, sign: f64): void {
  const c = <f64>load<f32>(cosine), s = sign * <f64>load<f32>(sine);
  const a = <f64>load<f32>(first), b = <f64>load<f32>(second);
  store<f32>(first, <f32>(a * c - b * s));
  store<f32>(second, <f32>(b * c + a * s));
}
