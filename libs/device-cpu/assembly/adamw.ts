import { high2, low2, narrow4 } from './float64';

/**
 * AdamW of `count` float32 in whole vectors, arithmetic in float64: g = gradient · scale, first = beta1 first + (1 − beta1) g,
 * second = beta2 second + (1 − beta2) g², value = value · decay − stepSize first / (√(second · correction) + epsilon).
 */
export function adamwRow(
  values: usize, gradients: usize, first: usize, second: usize, count: i32,
  scale: f64, beta1: f64, beta2: f64, stepSize: f64, correction: f64, epsilon: f64, decay: f64,
): void {
  const end = values + (<usize>count << 2);
  while (values < end) {
    const g = v128.load(gradients), m = v128.load(first), v = v128.load(second), x = v128.load(values);
    const g0 = f64x2.mul(low2(g), f64x2.splat(scale)), g1 = f64x2.mul(high2(g), f64x2.splat(scale));
    const m0 = moment(low2(m), g0, beta1), m1 = moment(high2(m), g1, beta1);
    const v0 = squareMoment(low2(v), g0, beta2), v1 = squareMoment(high2(v), g1, beta2);
    v128.store(first, narrow4(m0, m1));
    v128.store(second, narrow4(v0, v1));
    v128.store(values, narrow4(
      moved(low2(x), m0, v0, stepSize, correction, epsilon, decay),
      moved(high2(x), m1, v1, stepSize, correction, epsilon, decay),
    ));
    values += 16;
    gradients += 16;
    first += 16;
    second += 16;
  }
}

// @ts-ignore: decorator
@inline
function moment(before: v128, g: v128, beta: f64): v128 {
  return f64x2.add(f64x2.mul(f64x2.splat(beta), before), f64x2.mul(f64x2.splat(1 - beta), g));
}

// @ts-ignore: decorator
@inline
function squareMoment(before: v128, g: v128, beta: f64): v128 {
  return f64x2.add(f64x2.mul(f64x2.splat(beta), before), f64x2.mul(f64x2.mul(f64x2.splat(1 - beta), g), g));
}

// @ts-ignore: decorator
@inline
function moved(x: v128, m: v128, v: v128, stepSize: f64, correction: f64, epsilon: f64, decay: f64): v128 {
  const root = f64x2.sqrt(f64x2.mul(v, f64x2.splat(correction)));
  const change = f64x2.div(f64x2.mul(f64x2.splat(stepSize), m), f64x2.add(root, f64x2.splat(epsilon)));
  return f64x2.sub(f64x2.mul(x, f64x2.splat(decay)), change);
}
