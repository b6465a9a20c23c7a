/**
 * Below the first address of scratch, since a constant in the code of a loop takes three instructions and one in memory one:
 * bounds of x, 1 / ln 2, 1.5 · 2²³, ln 2 in two parts, 1 / 7! to 1 / 1!, and the exponent's bias as bits.
 */
const constants = memory.data<f32>([
  88.0, -87.0, 1.44269504088896341, 12582912.0, 0.693359375, -2.12194440e-4, 1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0,
  1.0 / 6.0, 0.5, 1.0, 1.77964905e-43,
], 4);

// @ts-ignore: decorator
@inline
function constant(index: usize): v128 {
  return v128.load32_splat(constants + (index << 2));
}

/**
 * e^x of four float32 to 2 ulp: x = n ln 2 + r, |r| <= ln 2 / 2, e^r by its Taylor polynomial of degree 7 (remainder below 6e-9),
 * times 2^n put into the exponent. x is clamped to [-87, 88]; NaN stays NaN.
 */
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  x = f32x4.pmax(f32x4.pmin(x, constant(0)), constant(1));
  // What is added to 1.5 · 2²³ is rounded to a whole number, which then stands in the last bits.
  const whole = f32x4.add(f32x4.mul(x, constant(2)), constant(3));
  const n = f32x4.sub(whole, constant(3));
  // ln 2 in two parts: the first has so few bits that its product with n is exact.
  let r = f32x4.sub(x, f32x4.mul(n, constant(4)));
  r = f32x4.sub(r, f32x4.mul(n, constant(5)));
  let p = constant(6);
  p = f32x4.add(f32x4.mul(p, r), constant(7));
  p = f32x4.add(f32x4.mul(p, r), constant(8));
  p = f32x4.add(f32x4.mul(p, r), constant(9));
  p = f32x4.add(f32x4.mul(p, r), constant(10));
  p = f32x4.add(f32x4.mul(p, r), constant(11));
  p = f32x4.add(f32x4.mul(p, r), constant(12));
  p = f32x4.add(f32x4.mul(p, r), constant(12));
  const exponent = i32x4.shl(i32x4.add(whole, constant(13)), 23);
  return f32x4.mul(p, exponent);
}

/** e^x of one float32, the same bits as a lane of `exp4`. */
// @ts-ignore: decorator
@inline
export function exp1(x: f32): f32 {
  return f32x4.extract_lane(exp4(f32x4.splat(x)), 0);
}
