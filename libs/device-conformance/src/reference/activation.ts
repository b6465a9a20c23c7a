import type { ActivationKind } from '@emloc/device';

/** act(x) */
export function activate(x: number, kind: ActivationKind): number {
  switch (kind) {
    case 'gelu':
      return x * normal(x);
    case 'geluTanh':
      return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    case 'quickGelu':
      return x / (1 + Math.exp(-1.702 * x));
    case 'silu':
      return x / (1 + Math.exp(-x));
  }
}

export function activation(x: Float64Array, kind: ActivationKind): Float64Array {
  return x.map((value) => activate(value, kind));
}

/** Φ(x): a Taylor series near 0, a continued fraction further out (Abramowitz and Stegun 7.1.14). */
function normal(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  const tail = 0.5 * (z < 2.5 ? 1 - errorSeries(z) : complementaryFraction(z));
  return x < 0 ? tail : 1 - tail;
}

function errorSeries(z: number): number {
  let [sum, term] = [z, z];
  for (let k = 1; k < 100; k += 1) {
    term *= (-z * z) / k;
    sum += term / (2 * k + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

function complementaryFraction(z: number): number {
  let fraction = 0;
  for (let k = 80; k > 0; k -= 1) fraction = k / 2 / (z + fraction);
  return Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + fraction);
}
