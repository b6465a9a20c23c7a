import type { Random } from './random.js';

/**
 * Fills `out` with draws of the standard normal distribution, one uniform number each, through the
 * quantile function. Nothing but IEEE additions, multiplications, divisions and square roots is
 * used: equal streams give equal bits on every machine.
 */
export function fillNormal(random: Random, out: Float32Array): Float32Array {
  for (let index = 0; index < out.length; index += 1) {
    const uniform = random.nextFloat();
    // In the middle of the 2^-53 that the uniform number stands for, so that neither end is hit.
    out[index] =
      uniform < 0.5 ? normalQuantile(uniform + 2 ** -54) : -normalQuantile(1 - uniform - 2 ** -54);
  }
  return out;
}

/**
 * The number that a standard normal variable is below with probability `p`; relative error about
 * 1e-16 (Wichura, algorithm AS 241, PPND16).
 * @throws RangeError unless 0 < p < 1
 */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) throw new RangeError(`normal quantile: ${p} is not between 0 and 1`);
  const centred = p - 0.5;
  if (Math.abs(centred) <= 0.425) {
    const r = 0.180625 - centred * centred;
    return (centred * polynomial(middle.above, r)) / polynomial(middle.below, r);
  }
  const tail = Math.sqrt(-logarithm(centred < 0 ? p : 1 - p));
  const { above, below, from } = tail <= 5 ? near : far;
  const magnitude = polynomial(above, tail - from) / polynomial(below, tail - from);
  return centred < 0 ? -magnitude : magnitude;
}

interface Ratio {
  /** Coefficients of falling powers. */
  readonly above: readonly number[];
  readonly below: readonly number[];
}

const middle: Ratio = {
  above: [
    2509.0809287301227, 33430.57558358813, 67265.7709270087, 45921.95393154987, 13731.69376550946,
    1971.5909503065513, 133.14166789178438, 3.3871328727963665,
  ],
  below: [
    5226.495278852854, 28729.085735721943, 39307.89580009271, 21213.794301586597, 5394.196021424751,
    687.1870074920579, 42.31333070160091, 1,
  ],
};

const near: Ratio & { readonly from: number } = {
  from: 1.6,
  above: [
    0.0007745450142783414, 0.022723844989269184, 0.2417807251774506, 1.2704582524523684,
    3.6478483247632045, 5.769497221460691, 4.630337846156546, 1.4234371107496835,
  ],
  below: [
    1.0507500716444169e-9, 0.0005475938084995345, 0.015198666563616457, 0.14810397642748008,
    0.6897673349851, 1.6763848301838038, 2.053191626637759, 1,
  ],
};

const far: Ratio & { readonly from: number } = {
  from: 5,
  above: [
    2.0103343992922881e-7, 0.000027115555687434876, 0.0012426609473880784, 0.026532189526576124,
    0.29656057182850487, 1.7848265399172913, 5.463784911164114, 6.657904643501103,
  ],
  below: [
    2.0442631033899397e-15, 1.421511758316446e-7, 0.000018463183175100548, 0.0007868691311456133,
    0.014875361290850615, 0.1369298809227358, 0.599832206555888, 1,
  ],
};

function polynomial(coefficients: readonly number[], x: number): number {
  let sum = 0;
  for (let index = 0; index < coefficients.length; index += 1)
    sum = sum * x + (coefficients[index] as number);
  return sum;
}

/**
 * ln x of 0 < x < 1 from basic operations alone: x = m 2^e, ln m = 2 artanh((m - 1) / (m + 1)) as a
 * series. `Math.log` may differ by a bit between engines.
 */
function logarithm(x: number): number {
  let [mantissa, exponent] = [x, 0];
  for (; mantissa < 2 ** -32; exponent -= 32) mantissa *= 2 ** 32;
  for (; mantissa < Math.SQRT1_2; exponent -= 1) mantissa *= 2;
  const z = (mantissa - 1) / (mantissa + 1);
  let series = 0;
  for (let odd = 23; odd >= 1; odd -= 2) series = series * z * z + 1 / odd;
  return exponent * Math.LN2 + 2 * z * series;
}
