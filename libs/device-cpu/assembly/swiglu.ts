import { exp4 } from './exp';

// @ts-ignore: decorator
@inline
function sigmoid(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp4(f32x4.neg(x))));
}

/** gate = silu(gate) · up for `count` float32, a multiple of 4; addresses in bytes. */
export function swigluForward(gate: usize, up: usize, count: i32): void {
  const end = gate + (<usize>count << 2);
  while (gate < end) {
    const g = v128.load(gate);
    v128.store(gate, f32x4.mul(f32x4.mul(g, sigmoid(g)), v128.load(up)));
    gate += 16;
    up += 16;
  }
}

/** gate and up become their gradients: dUp = dOut · silu(gate), dGate = dOut · up · σ (1 + gate (1 - σ)). `count` is a multiple of 4. */
export function swigluBackward(dOut: usize, gate: usize, up: usize, count: i32): void {
  const one = f32x4.splat(1);
  const end = gate + (<usize>count << 2);
  while (gate < end) {
    const d = v128.load(dOut);
    const g = v128.load(gate);
    const s = sigmoid(g);
    const slope = f32x4.mul(s, f32x4.add(one, f32x4.mul(g, f32x4.sub(one, s))));
    const dGate = f32x4.mul(f32x4.mul(d, v128.load(up)), slope);
    v128.store(up, f32x4.mul(d, f32x4.mul(g, s)));
    v128.store(gate, dGate);
    dOut += 16;
    gate += 16;
    up += 16;
  }
}
