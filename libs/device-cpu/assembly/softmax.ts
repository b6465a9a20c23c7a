import { exp1, exp4 } from './exp';
import { expRow, maxRow, scaleRow } from './exp-row';
import { dot, quadBytes } from './float64';

/**
 * Softmax of the rows of a (rows, stride) tile of float32 scores, in place. Row i has the last `window` of the keys before
 * `firstEnd + i`; the rest of it becomes 0. `sink` is one more score of every row, whose share is dropped; -Infinity for none.
 * maxima (rows) float32 and sums (rows) float64 receive max and Σ e^(score - max) of each row, the sink among its scores.
 */
export function softmaxRows(
  scores: usize, rows: i32, stride: i32, firstEnd: i32, window: i32, sink: f32, maxima: usize, sums: usize,
): void {
  for (let row = 0; row < rows; row += 1) {
    const end = min(firstEnd + row, stride);
    const first = max(end - window, 0);
    const keys = scores + (<usize>first << 2);
    const largest = max(maxRow(keys, end - first), sink);
    let sum = expRow(keys, end - first, largest);
    if (sink > -Infinity) sum += <f64>exp1(sink - largest);
    scaleRow(keys, end - first, <f32>(1.0 / sum));
    store<f32>(maxima + (<usize>row << 2), largest);
    store<f64>(sums + (<usize>row << 3), sum);
    clearAround(scores, first, end, stride);
    scores += <usize>stride << 2;
  }
}

/** The same probabilities again from a row's log Σ e^score: p = e^(score - logSumExp), 0 where the row has no keys, in place. */
export function probabilityRows(scores: usize, rows: i32, stride: i32, firstEnd: i32, window: i32, logSumExp: usize): void {
  for (let row = 0; row < rows; row += 1) {
    const end = min(firstEnd + row, stride);
    const first = max(end - window, 0);
    expRow(scores + (<usize>first << 2), end - first, load<f32>(logSumExp + (<usize>row << 2)));
    clearAround(scores, first, end, stride);
    scores += <usize>stride << 2;
  }
}

// @ts-ignore: decorator
@inline
function clearAround(row: usize, first: i32, end: i32, stride: i32): void {
  memory.fill(row, 0, <usize>first << 2);
  memory.fill(row + (<usize>end << 2), 0, <usize>(stride - end) << 2);
}

/**
 * x[i] becomes cap · tanh(x[i] / cap) for `count` float32, in whole vectors: room for three more follows. slopes[i] receives the
 * slope 1 - tanh² of each, unless its address is 0. Exponentials of negative numbers only, so that a slope keeps its precision.
 */
export function softCapRow(x: usize, count: i32, cap: f32, slopes: usize): void {
  const one = f32x4.splat(1);
  const caps = f32x4.splat(cap);
  const sign = f32x4.splat(-0.0);
  const end = x + (<usize>count << 2);
  while (x < end) {
    const ratio = f32x4.div(v128.load(x), caps);
    const e = exp4(f32x4.mul(f32x4.abs(ratio), f32x4.splat(-2)));
    const inverse = f32x4.div(one, f32x4.add(one, e));
    const size = f32x4.mul(caps, f32x4.mul(f32x4.sub(one, e), inverse));
    v128.store(x, v128.bitselect(ratio, size, sign));
    if (slopes) {
      v128.store(slopes, f32x4.mul(f32x4.mul(f32x4.splat(4), e), f32x4.mul(inverse, inverse)));
      slopes += 16;
    }
    x += 16;
  }
}

/** x[i] *= factors[i] for `count` float32, in whole vectors as above. */
export function multiplyRow(x: usize, factors: usize, count: i32): void {
  const end = x + (<usize>count << 2);
  while (x < end) {
    v128.store(x, f32x4.mul(v128.load(x), v128.load(factors)));
    x += 16;
    factors += 16;
  }
}

/**
 * dp = p · (dp - delta) · scale over whole (rows, stride) tiles, delta = Σ p · dp of the row in float64: the gradient of the scores
 * before their factor.
 */
export function scoreGradients(p: usize, dp: usize, rows: i32, stride: i32, scale: f32): void {
  const scales = f32x4.splat(scale);
  for (let row = 0; row < rows; row += 1) {
    const shift = <f32>dot(p, dp, stride);
    const shifts = f32x4.splat(shift);
    const end = dp + (<usize>stride << 2);
    const endOfQuads = dp + quadBytes(stride);
    while (dp < endOfQuads) {
      v128.store(dp, f32x4.mul(f32x4.mul(v128.load(p), f32x4.sub(v128.load(dp), shifts)), scales));
      p += 16;
      dp += 16;
    }
    while (dp < end) {
      store<f32>(dp, load<f32>(p) * (load<f32>(dp) - shift) * scale);
      p += 4;
      dp += 4;
    }
  }
}
