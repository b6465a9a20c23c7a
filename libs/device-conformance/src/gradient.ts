import assert from 'node:assert/strict';

/** Gradient of a scalar function by central differences; `x` is as it was afterwards. */
export function numericGradient(x: Float64Array, f: () => number): Float64Array {
  const step = 1e-5;
  return x.map((value, i) => {
    x[i] = value + step;
    const above = f();
    x[i] = value - step;
    const below = f();
    x[i] = value;
    return (above - below) / (2 * step);
  });
}

/** Σ a · b: the scalar whose gradient a backward kernel gives when it is handed b as dOut. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
