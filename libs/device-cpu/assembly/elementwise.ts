import { high2, low2, narrow4 } from './float64';

/** out[i] += x[i] for `count` float32 in whole vectors: what fills the last 16 bytes is added, too. */
export function addRow(out: usize, x: usize, count: i32): void {
  const end = out + (<usize>count << 2);
  while (out < end) {
    v128.store(out, f32x4.add(v128.load(out), v128.load(x)));
    out += 16;
    x += 16;
  }
}

/** out[i] += alpha · x[i], likewise; in float64, rounded once. */
export function addScaledRow(out: usize, x: usize, count: i32, alpha: f64): void {
  const alphas = f64x2.splat(alpha);
  const end = out + (<usize>count << 2);
  while (out < end) {
    const before = v128.load(out), values = v128.load(x);
    v128.store(out, narrow4(
      f64x2.add(low2(before), f64x2.mul(alphas, low2(values))),
      f64x2.add(high2(before), f64x2.mul(alphas, high2(values))),
    ));
    out += 16;
    x += 16;
  }
}

/** Adds `width` float32 at address bias to each of the rows at address out. */
export function addBiasRows(out: usize, rows: i32, width: i32, bias: usize): void {
  const endOfQuads = bias + (<usize>(width & ~3) << 2);
  const end = bias + (<usize>width << 2);
  for (let row = 0; row < rows; row += 1) {
    let from = bias;
    while (from < endOfQuads) {
      v128.store(out, f32x4.add(v128.load(out), v128.load(from)));
      out += 16;
      from += 16;
    }
    while (from < end) {
      store<f32>(out, load<f32>(out) + load<f32>(from));
      out += 4;
      from += 4;
    }
  }
}

/** Multiplies each of the rows at address x by `width` float32 at address factors. */
export function scaleColumns(x: usize, rows: i32, width: i32, factors: usize): void {
  const endOfQuads = factors + (<usize>(width & ~3) << 2);
  const end = factors + (<usize>width << 2);
  for (let row = 0; row < rows; row += 1) {
    let from = factors;
    while (from < endOfQuads) {
      v128.store(x, f32x4.mul(v128.load(x), v128.load(from)));
      x += 16;
      from += 16;
    }
    while (from < end) {
      store<f32>(x, load<f32>(x) * load<f32>(from));
      x += 4;
      from += 4;
    }
  }
}
