/** x · y + sum of four float32: rounded once in the module with relaxed SIMD, twice in the other. */
// @ts-ignore: decorator
@inline
export function multiplyAdd4(x: v128, y: v128, sum: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(x, y, sum);
  return f32x4.add(sum, f32x4.mul(x, y));
}

/** The same of two float64. */
// @ts-ignore: decorator
@inline
export function multiplyAdd2(x: v128, y: v128, sum: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f64x2.relaxed_madd(x, y, sum);
  return f64x2.add(sum, f64x2.mul(x, y));
}

/** Whether `multiplyAdd4` and `multiplyAdd2` round once: relaxed SIMD leaves it to the processor. */
export function isFused(): bool {
  // (1 + ε)² − (1 + 2 ε) is ε², which is lost where the square is rounded first.
  const x = 1 + f64.EPSILON;
  const wide = multiplyAdd2(f64x2.splat(x), f64x2.splat(x), f64x2.splat(-1 - 2 * f64.EPSILON));
  const y = <f32>1 + f32.EPSILON;
  const narrow = multiplyAdd4(f32x4.splat(y), f32x4.splat(y), f32x4.splat(<f32>-1 - 2 * f32.EPSILON));
  return f64x2.extract_lane(wide, 0) != 0 && f32x4.extract_lane(narrow, 0) != 0;
}
