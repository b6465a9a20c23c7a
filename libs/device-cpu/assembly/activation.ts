import { exp4 } from './exp';

/**
 * Activations of the form x · s(x): s is the logistic function of x (silu), of 1.702 x (quickGelu, and gpt-oss's clamped SwiGLU) or
 * of 2 √(2/π) (x + 0.044715 x³) (geluTanh), or the normal distribution function (gelu); and of s(x) alone
 * with s the logistic function (sigmoid). The numbers are those of src/activations.ts.
 */
const SILU: i32 = 0;
const QUICK_GELU: i32 = 1;
const GELU_TANH: i32 = 2;
const GELU: i32 = 3;
const CLAMPED_SWIGLU: i32 = 4;
const SIGMOID: i32 = 5;

const TANH_FACTOR: f32 = 1.5957691216057308; // 2 √(2/π)
const TANH_CUBIC: f32 = 0.044715;

// @ts-ignore: decorator
@inline
function sigmoid(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp4(f32x4.neg(x))));
}

/** e^(-x²/2) */
// @ts-ignore: decorator
@inline
function bell(x: v128): v128 {
  return exp4(f32x4.mul(f32x4.mul(x, x), f32x4.splat(-0.5)));
}

/**
 * Φ(x). The tail is e^(-x²/2) times a polynomial in t = 1 / (1 + 0.3 |x|), fitted to half the scaled complementary error function
 * with a relative error of 1.3e-7; beyond 13, where it is below the smallest float32, it counts as 0.
 */
// @ts-ignore: decorator
@inline
function normal(x: v128): v128 {
  const one = f32x4.splat(1);
  const size = f32x4.abs(x);
  const t = f32x4.div(one, f32x4.add(one, f32x4.mul(size, f32x4.splat(0.3))));
  let p = f32x4.splat(0.035930453378005926);
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-0.1582700674594803));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.20819541101752267));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-0.05538272811931203));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.12946295217613538));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.09963947166651263));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.12079803201142059));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.11962641138867972));
  let tail = f32x4.mul(f32x4.mul(p, t), bell(x));
  tail = v128.andnot(tail, f32x4.gt(size, f32x4.splat(13)));
  return v128.bitselect(tail, f32x4.sub(one, tail), f32x4.lt(x, f32x4.splat(0)));
}

/** s(x) */
// @ts-ignore: decorator
@inline
function share(kind: i32, x: v128): v128 {
  if (kind == GELU) return normal(x);
  if (kind == SILU || kind == SIGMOID) return sigmoid(x);
  if (kind == GELU_TANH) {
    // Bounded, so that the cube does not overflow where s is 0 or 1 anyway.
    const y = f32x4.max(f32x4.min(x, f32x4.splat(16)), f32x4.splat(-16));
    const cubic = f32x4.mul(f32x4.mul(f32x4.mul(y, y), y), f32x4.splat(TANH_CUBIC));
    return sigmoid(f32x4.mul(f32x4.add(y, cubic), f32x4.splat(TANH_FACTOR)));
  }
  return sigmoid(f32x4.mul(x, f32x4.splat(1.702)));
}

/** act(x) for s = s(x) */
// @ts-ignore: decorator
@inline
function activated(kind: i32, x: v128, s: v128): v128 {
  return kind == SIGMOID ? s : f32x4.mul(x, s);
}

/** act'(x) for s = s(x) */
// @ts-ignore: decorator
@inline
function slope(kind: i32, x: v128, s: v128): v128 {
  const one = f32x4.splat(1);
  if (kind == GELU) return f32x4.add(s, f32x4.mul(x, f32x4.mul(bell(x), f32x4.splat(0.3989422804014327))));
  if (kind == SIGMOID) return f32x4.mul(s, f32x4.sub(one, s));
  let rise = f32x4.mul(x, f32x4.sub(one, s));
  if (kind == GELU_TANH) {
    const y = f32x4.max(f32x4.min(x, f32x4.splat(16)), f32x4.splat(-16));
    const cubic = f32x4.mul(f32x4.mul(y, y), f32x4.splat(3 * TANH_CUBIC));
    rise = f32x4.mul(rise, f32x4.mul(f32x4.add(one, cubic), f32x4.splat(TANH_FACTOR)));
  } else if (kind != SILU) rise = f32x4.mul(rise, f32x4.splat(1.702));
  return f32x4.mul(s, f32x4.add(one, rise));
}

/** x = act(x) for `count` float32, a multiple of 4, as in all of this file; addresses in bytes. */
export function activationForward(kind: i32, x: usize, count: i32): void {
  const end = x + (<usize>count << 2);
  while (x < end) {
    const y = v128.load(x);
    v128.store(x, f32x4.mul(y, share(kind, y)));
    x += 16;
  }
}

/** dOut becomes dOut · act'(x). */
export function activationBackward(kind: i32, dOut: usize, x: usize, count: i32): void {
  const end = x + (<usize>count << 2);
  while (x < end) {
    const y = v128.load(x);
    v128.store(dOut, f32x4.mul(v128.load(dOut), slope(kind, y, share(kind, y))));
    dOut += 16;
    x += 16;
  }
}

/** gate = act(gate) · up; clamped: g = min(gate, limit), gate = act(g) · (min(max(up, -limit), limit) + 1). */
export function gatedForward(kind: i32, gate: usize, up: usize, count: i32, limit: f32): void {
  // A loop of its own, without questions.
  if (kind == SILU) gateEach(SILU, gate, up, count, limit);
  else gateEach(kind, gate, up, count, limit);
}

// @ts-ignore: decorator
@inline
function gateEach(kind: i32, gate: usize, up: usize, count: i32, limit: f32): void {
  const end = gate + (<usize>count << 2);
  const limits = f32x4.splat(limit);
  while (gate < end) {
    let g = v128.load(gate);
    let u = v128.load(up);
    if (kind == CLAMPED_SWIGLU) {
      g = f32x4.min(g, limits);
      u = f32x4.add(f32x4.max(f32x4.min(u, limits), f32x4.neg(limits)), f32x4.splat(1));
    }
    v128.store(gate, f32x4.mul(activated(kind, g, share(kind, g)), u));
    gate += 16;
    up += 16;
  }
}

/**
 * gate and up become their gradients: dUp = dOut · act(gate), dGate = dOut · up · act'(gate); 0 where clamping held them. Where
 * `again`, dOut becomes the forward's output.
 */
export function gatedBackward(kind: i32, dOut: usize, gate: usize, up: usize, count: i32, limit: f32, again: bool): void {
  if (kind == SILU) pullBackEach(SILU, dOut, gate, up, count, limit, again);
  else pullBackEach(kind, dOut, gate, up, count, limit, again);
}

// @ts-ignore: decorator
@inline
function pullBackEach(kind: i32, dOut: usize, gate: usize, up: usize, count: i32, limit: f32, again: bool): void {
  const end = gate + (<usize>count << 2);
  const limits = f32x4.splat(limit);
  while (gate < end) {
    const d = v128.load(dOut);
    let g = v128.load(gate);
    let u = v128.load(up);
    let gateHeld = i32x4.splat(0), upHeld = i32x4.splat(0);
    if (kind == CLAMPED_SWIGLU) {
      gateHeld = f32x4.gt(g, limits);
      upHeld = f32x4.gt(f32x4.abs(u), limits);
      g = f32x4.min(g, limits);
      u = f32x4.add(f32x4.max(f32x4.min(u, limits), f32x4.neg(limits)), f32x4.splat(1));
    }
    const s = share(kind, g);
    const act = activated(kind, g, s);
    const dGate = f32x4.mul(f32x4.mul(d, u), slope(kind, g, s));
    if (again) v128.store(dOut, f32x4.mul(act, u));
    v128.store(up, v128.andnot(f32x4.mul(d, act), upHeld));
    v128.store(gate, v128.andnot(dGate, gateHeld));
    dOut += 16;
    gate += 16;
    up += 16;
  }
}
