import { high2, low2, narrow4, quadBytes, total4 } from './float64';

/**
 * Rows of `width` float32 at address x become (x − mean) / √(variance + epsilon) · gain + shift in float64, each rounded once; gains and
 * shifts are `width` float64. means and inverses (rows) float32 receive the mean and the factor before the gain.
 */
export function layerNormRows(
  x: usize, rows: i32, width: i32, gains: usize, shifts: usize, epsilon: f64, means: usize, inverses: usize,
): void {
  for (let row = 0; row < rows; row += 1) {
    const center = sumFrom(x, width, 0) / <f64>width;
    const inverse = <f32>(1.0 / sqrt(squaresAbout(x, width, center) / <f64>width + epsilon));
    store<f32>(means + (<usize>row << 2), <f32>center);
    store<f32>(inverses + (<usize>row << 2), inverse);
    normalizeRow(x, width, gains, shifts, center, <f64>inverse);
    x += <usize>width << 2;
  }
}

/** Σ (x − origin) over a row, four sums side by side. */
// @ts-ignore: decorator
@inline
function sumFrom(x: usize, count: i32, origin: f64): f64 {
  let low = f64x2.splat(0), high = f64x2.splat(0);
  const origins = f64x2.splat(origin);
  const end = x + (<usize>count << 2);
  const endOfQuads = x + quadBytes(count);
  while (x < endOfQuads) {
    const values = v128.load(x);
    low = f64x2.add(low, f64x2.sub(low2(values), origins));
    high = f64x2.add(high, f64x2.sub(high2(values), origins));
    x += 16;
  }
  let first = f64x2.extract_lane(low, 0);
  while (x < end) {
    first += <f64>load<f32>(x) - origin;
    x += 4;
  }
  return total4(f64x2.replace_lane(low, 0, first), high);
}

/** Σ (x − center)², likewise. */
// @ts-ignore: decorator
@inline
function squaresAbout(x: usize, count: i32, center: f64): f64 {
  let low = f64x2.splat(0), high = f64x2.splat(0);
  const centers = f64x2.splat(center);
  const end = x + (<usize>count << 2);
  const endOfQuads = x + quadBytes(count);
  while (x < endOfQuads) {
    const values = v128.load(x);
    const a = f64x2.sub(low2(values), centers), b = f64x2.sub(high2(values), centers);
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
    x += 16;
  }
  let first = f64x2.extract_lane(low, 0);
  while (x < end) {
    const a = <f64>load<f32>(x) - center;
    first += a * a;
    x += 4;
  }
  return total4(f64x2.replace_lane(low, 0, first), high);
}

// @ts-ignore: decorator
@inline
function normalizeRow(x: usize, width: i32, gains: usize, shifts: usize, center: f64, inverse: f64): void {
  const centers = f64x2.splat(center), inverse2 = f64x2.splat(inverse);
  const end = x + (<usize>width << 2);
  const endOfQuads = x + quadBytes(width);
  while (x < endOfQuads) {
    const values = v128.load(x);
    const low = f64x2.mul(f64x2.sub(low2(values), centers), inverse2);
    const high = f64x2.mul(f64x2.sub(high2(values), centers), inverse2);
    v128.store(x, narrow4(
      f64x2.add(f64x2.mul(low, v128.load(gains)), v128.load(shifts)),
      f64x2.add(f64x2.mul(high, v128.load(gains, 16)), v128.load(shifts, 16)),
    ));
    x += 16;
    gains += 32;
    shifts += 32;
  }
  while (x < end) {
    store<f32>(x, <f32>((<f64>load<f32>(x) - center) * inverse * load<f64>(gains) + load<f64>(shifts)));
    x += 4;
    gains += 8;
    shifts += 8;
  }
}

/**
 * dX (+)= r (g − mean(g) − y mean(g y)) with g = dOut · gain, y = (x − mean) r, r of `inverses`, row by row; what is added to lies at
 * dX. What the means lost when they were rounded to float32 is found again.
 */
export function layerNormBackwardRows(
  dOut: usize, x: usize, rows: i32, width: i32, gains: usize, means: usize, inverses: usize, dX: usize, accumulate: bool,
): void {
  const bytes = <usize>width << 2;
  for (let row = 0; row < rows; row += 1) {
    const inverse = <f64>load<f32>(inverses + (<usize>row << 2));
    const rough = <f64>load<f32>(means + (<usize>row << 2));
    const center = rough + sumFrom(x, width, rough) / <f64>width;
    pullBackRow(dOut, x, width, gains, center, inverse, dX, accumulate);
    dOut += bytes;
    x += bytes;
    dX += bytes;
  }
}

// @ts-ignore: decorator
@inline
function pullBackRow(
  dOut: usize, x: usize, width: i32, gains: usize, center: f64, inverse: f64, dX: usize, accumulate: bool,
): void {
  const quads = quadBytes(width), all = <usize>width << 2;
  const centers = f64x2.splat(center);
  let low = f64x2.splat(0), high = f64x2.splat(0), lowTilted = f64x2.splat(0), highTilted = f64x2.splat(0);
  let i: usize = 0;
  for (; i < quads; i += 16) {
    const g = v128.load(dOut + i), values = v128.load(x + i);
    const a = f64x2.mul(low2(g), v128.load(gains + (i << 1))), b = f64x2.mul(high2(g), v128.load(gains + (i << 1), 16));
    low = f64x2.add(low, a);
    high = f64x2.add(high, b);
    lowTilted = f64x2.add(lowTilted, f64x2.mul(a, f64x2.sub(low2(values), centers)));
    highTilted = f64x2.add(highTilted, f64x2.mul(b, f64x2.sub(high2(values), centers)));
  }
  let plain = total4(low, high), projected = total4(lowTilted, highTilted);
  for (; i < all; i += 4) {
    const g = <f64>load<f32>(dOut + i) * load<f64>(gains + (i << 1));
    plain += g;
    projected += g * (<f64>load<f32>(x + i) - center);
  }
  const shift = plain / <f64>width, tilt = (projected * inverse * inverse) / <f64>width;
  const shifts = f64x2.splat(shift), tilts = f64x2.splat(tilt), inverse2 = f64x2.splat(inverse);
  for (i = 0; i < quads; i += 16) {
    const g = v128.load(dOut + i), values = v128.load(x + i);
    const a = f64x2.mul(low2(g), v128.load(gains + (i << 1))), b = f64x2.mul(high2(g), v128.load(gains + (i << 1), 16));
    low = f64x2.sub(f64x2.sub(a, shifts), f64x2.mul(f64x2.sub(low2(values), centers), tilts));
    high = f64x2.sub(f64x2.sub(b, shifts), f64x2.mul(f64x2.sub(high2(values), centers), tilts));
    low = f64x2.mul(inverse2, low);
    high = f64x2.mul(inverse2, high);
    if (accumulate) {
      const before = v128.load(dX + i);
      low = f64x2.add(low2(before), low);
      high = f64x2.add(high2(before), high);
    }
    v128.store(dX + i, narrow4(low, high));
  }
  for (; i < all; i += 4) {
    const g = <f64>load<f32>(dOut + i) * load<f64>(gains + (i << 1));
    let value = inverse * (g - shift - (<f64>load<f32>(x + i) - center) * tilt);
    if (accumulate) value += <f64>load<f32>(dX + i);
    store<f32>(dX + i, <f32>value);
  }
}
