import { expRow, maxRow, scaleRow } from './exp-row';

/**
 * Softmax of the rows of a (rows, stride) tile of float32 scores, in place: row i has `firstLength + i` keys, the rest of it becomes 0.
 * maxima (rows) float32 and sums (rows) float64 receive max and Σ e^(score - max) of each row.
 */
export function causalSoftmax(scores: usize, rows: i32, stride: i32, firstLength: i32, maxima: usize, sums: usize): void {
  for (let row = 0; row < rows; row += 1) {
    const length = firstLength + row;
    const largest = maxRow(scores, length);
    const sum = expRow(scores, length, largest);
    scaleRow(scores, length, <f32>(1.0 / sum));
    store<f32>(maxima + (<usize>row << 2), largest);
    store<f64>(sums + (<usize>row << 3), sum);
    const tail = scores + (<usize>length << 2);
    scores += <usize>stride << 2;
    memory.fill(tail, 0, scores - tail);
  }
}

/** The same probabilities again from a row's log Σ e^score: p = e^(score - logSumExp), 0 past the row's keys, in place. */
export function causalProbabilities(scores: usize, rows: i32, stride: i32, firstLength: i32, logSumExp: usize): void {
  for (let row = 0; row < rows; row += 1) {
    const length = firstLength + row;
    expRow(scores, length, load<f32>(logSumExp + (<usize>row << 2)));
    const tail = scores + (<usize>length << 2);
    scores += <usize>stride << 2;
    memory.fill(tail, 0, scores - tail);
  }
}

/** dp = p · (dp - delta[row]) · scale over whole (rows, stride) tiles: the gradient of the scores before their factor. */
export function scoreGradients(p: usize, dp: usize, rows: i32, stride: i32, delta: usize, scale: f32): void {
  const scales = f32x4.splat(scale);
  for (let row = 0; row < rows; row += 1) {
    const shift = load<f32>(delta + (<usize>row << 2));
    const shifts = f32x4.splat(shift);
    const end = dp + (<usize>stride << 2);
    const endOfQuads = dp + (<usize>(stride & ~3) << 2);
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
