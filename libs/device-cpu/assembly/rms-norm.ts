import { dot, high2, low2, narrow4, quadBytes, total4 } from './float64';

/**
 * Rows of `width` float32 at address x become x / √(mean(x²) + epsilon) · gain, each product rounded once; gains are `width` float64.
 * inverses (rows) float32 receive the factor before the gain.
 */
export function rmsNormRows(x: usize, rows: i32, width: i32, gains: usize, epsilon: f64, inverses: usize): void {
  for (let row = 0; row < rows; row += 1) {
    store<f32>(inverses + (<usize>row << 2), <f32>(1.0 / sqrt(dot(x, x, width) / <f64>width + epsilon)));
    normalizeRow(x, width, gains, <f64>load<f32>(inverses + (<usize>row << 2)));
    x += <usize>width << 2;
  }
}

// @ts-ignore: decorator
@inline
function normalizeRow(x: usize, width: i32, gains: usize, inverse: f64): void {
  const inverse2 = f64x2.splat(inverse);
  const end = x + (<usize>width << 2);
  const endOfQuads = x + quadBytes(width);
  while (x < endOfQuads) {
    const values = v128.load(x);
    const low = f64x2.mul(f64x2.mul(low2(values), inverse2), v128.load(gains));
    const high = f64x2.mul(f64x2.mul(high2(values), inverse2), v128.load(gains, 16));
    v128.store(x, narrow4(low, high));
    x += 16;
    gains += 32;
  }
  while (x < end) {
    store<f32>(x, <f32>(<f64>load<f32>(x) * inverse * load<f64>(gains)));
    x += 4;
    gains += 8;
  }
}

/**
 * dX (+)= r (g − x r² mean(g x)) with g = dOut · gain and r of `inverses`, row by row; what is added to lies at dX. Where `again`, x
 * becomes the forward's output.
 */
export function rmsNormBackwardRows(
  dOut: usize, x: usize, rows: i32, width: i32, gains: usize, inverses: usize, dX: usize, accumulate: bool, again: bool,
): void {
  const bytes = <usize>width << 2;
  for (let row = 0; row < rows; row += 1) {
    const inverse = <f64>load<f32>(inverses + (<usize>row << 2));
    const shift = (weightedDot(dOut, x, gains, width) * inverse * inverse) / <f64>width;
    pullBackRow(dOut, x, width, gains, inverse, shift, dX, accumulate);
    if (again) normalizeRow(x, width, gains, inverse);
    dOut += bytes;
    x += bytes;
    dX += bytes;
  }
}

/** Σ a[i] b[i] gain[i] as `dot` sums. */
// @ts-ignore: decorator
@inline
function weightedDot(a: usize, b: usize, gains: usize, count: i32): f64 {
  let low = f64x2.splat(0), high = f64x2.splat(0);
  const end = a + (<usize>count << 2);
  const endOfQuads = a + quadBytes(count);
  while (a < endOfQuads) {
    const x = v128.load(a), y = v128.load(b);
    low = f64x2.add(low, f64x2.mul(f64x2.mul(low2(x), low2(y)), v128.load(gains)));
    high = f64x2.add(high, f64x2.mul(f64x2.mul(high2(x), high2(y)), v128.load(gains, 16)));
    a += 16;
    b += 16;
    gains += 32;
  }
  let first = f64x2.extract_lane(low, 0);
  while (a < end) {
    first += <f64>load<f32>(a) * <f64>load<f32>(b) * load<f64>(gains);
    a += 4;
    b += 4;
    gains += 8;
  }
  return total4(f64x2.replace_lane(low, 0, first), high);
}

// @ts-ignore: decorator
@inline
function pullBackRow(
  dOut: usize, x: usize, width: i32, gains: usize, inverse: f64, shift: f64, dX: usize, accumulate: bool,
): void {
  const inverses = f64x2.splat(inverse), shifts = f64x2.splat(shift);
  const end = x + (<usize>width << 2);
  const endOfQuads = x + quadBytes(width);
  while (x < endOfQuads) {
    const g = v128.load(dOut), values = v128.load(x);
    let low = f64x2.sub(f64x2.mul(low2(g), v128.load(gains)), f64x2.mul(low2(values), shifts));
    let high = f64x2.sub(f64x2.mul(high2(g), v128.load(gains, 16)), f64x2.mul(high2(values), shifts));
    low = f64x2.mul(inverses, low);
    high = f64x2.mul(inverses, high);
    if (accumulate) {
      const before = v128.load(dX);
      low = f64x2.add(low2(before), low);
      high = f64x2.add(high2(before), high);
    }
    v128.store(dX, narrow4(low, high));
    dOut += 16;
    x += 16;
    dX += 16;
    gains += 32;
  }
  while (x < end) {
    let value = inverse * (<f64>load<f32>(dOut) * load<f64>(gains) - <f64>load<f32>(x) * shift);
    if (accumulate) value += <f64>load<f32>(dX);
    store<f32>(dX, <f32>value);
    dOut += 4;
    x += 4;
    dX += 4;
    gains += 8;
  }
}
