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
    2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
    4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3,
    1.3314166789178437745e2, 3.387132872796366608,
  ],
  below: [
    5.226495278852854561e3, 2.8729085735721942674e4, 3.930789580009271061e4,
    2.1213794301586595867e4, 5.3941960214247511077e3, 6.871870074920579083e2,
    4.2313330701600911252e1, 1,
  ],
};

const near: Ratio & { readonly from: number } = {
  from: 1.6,
  above: [
    7.7454501427834140764e-4, 2.27238449892691845833e-2, 2.4178072517745061177e-1,
    1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959,
    1.42343711074968357734,
  ],
  below: [
    1.05075007164441684324e-9, 5.475938084995344946e-4, 1.51986665636164571966e-2,
    1.4810397642748007459e-1, 6.8976733498510000455e-1, 1.6763848301838038494,
    2.05319162663775882187, 1,
  ],
};

const far: Ratio & { readonly from: number } = {
  from: 5,
  above: [
    2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.2426609473880784386e-3,
    2.6532189526576123093e-2, 2.9656057182850489123e-1, 1.7848265399172913358,
    5.4637849111641143699, 6.6579046435011037772,
  ],
  below: [
    2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5,
    7.868691311456132591e-4, 1.48753612908506148525e-2, 1.3692988092273580531e-1,
    5.9983220655588793769e-1, 1,
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
