import { exp4 } from './exp';

/** tanh(x): an odd polynomial near 0 (relative error 1.3e-7), 1 - 2 / (e^(2 |x|) + 1) with the sign of x further out. */
// @ts-ignore: decorator
@inline
function tanh4(x: v128): v128 {
  const one = f32x4.splat(1);
  const u = f32x4.mul(x, x);
  let p = f32x4.splat(0.015194974415336572);
  p = f32x4.add(f32x4.mul(p, u), f32x4.splat(-0.05194765404830124));
  p = f32x4.add(f32x4.mul(p, u), f32x4.splat(0.1330817044182));
  p = f32x4.add(f32x4.mul(p, u), f32x4.splat(-0.3333234100766213));
  const near = f32x4.add(x, f32x4.mul(f32x4.mul(p, u), x));
  const size = f32x4.abs(x);
  const far = f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(exp4(f32x4.add(size, size)), one)));
  const signed = v128.or(far, v128.and(x, i32x4.splat(0x80000000)));
  return v128.bitselect(near, signed, f32x4.lt(size, f32x4.splat(0.625)));
}

/** x[i] = cap · tanh(x[i] / cap) for `count` float32 at address x, and for what fills the last 16 bytes. */
export function capRow(x: usize, count: i32, cap: f32): void {
  const caps = f32x4.splat(cap);
  const end = x + (<usize>count << 2);
  while (x < end) {
    v128.store(x, f32x4.mul(tanh4(f32x4.div(v128.load(x), caps)), caps));
    x += 16;
  }
}

/** gradient[i] *= factor · (1 - (capped[i] / cap)²), likewise: through what capRow gave. */
export function capSlopes(gradient: usize, capped: usize, count: i32, factor: f32, cap: f32): void {
  const one = f32x4.splat(1);
  const factors = f32x4.splat(factor), caps = f32x4.splat(cap);
  const end = gradient + (<usize>count << 2);
  while (gradient < end) {
    const t = f32x4.div(v128.load(capped), caps);
    const slopes = f32x4.mul(factors, f32x4.sub(one, f32x4.mul(t, t)));
    v128.store(gradient, f32x4.mul(v128.load(gradient), slopes));
    gradient += 16;
    capped += 16;
  }
}
