import { decompose } from './decimals.js';

/**
 * The engine's power is off by a unit in the last place now and then, where that of C is not. This
 * one is computed with fixed-point numbers of 256 bits.
 */
const BITS = 256;
const ONE = 1n << BigInt(BITS);

export function exactPower(x: number, y: number): number {
  const rough = x ** y;
  if (!Number.isFinite(rough) || rough === 0 || x === 0 || Math.abs(rough) < 2 ** -1000)
    return rough;
  if (Number.isSafeInteger(rough) && Number.isInteger(x) && y > 0 && Number.isInteger(y))
    return rough;
  const exact = exponential(multiply(toFixedPoint(y), logarithm(Math.abs(x))));
  return rough < 0 ? -exact : exact;
}

function multiply(a: bigint, b: bigint): bigint {
  return (a * b) >> BigInt(BITS);
}

function toFixedPoint(value: number): bigint {
  const [mantissa, exponent] = decompose(Math.abs(value));
  const shift = BITS + exponent;
  const fixed = shift >= 0 ? mantissa << BigInt(shift) : mantissa >> BigInt(-shift);
  return value < 0 ? -fixed : fixed;
}

/** ln((1 + z) / (1 - z)) = 2 (z + z^3 / 3 + z^5 / 5 …) */
function series(z: bigint): bigint {
  const square = multiply(z, z);
  let sum = 0n;
  let power = z;
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += power / n;
    power = multiply(power, square);
  }
  return 2n * sum;
}

const LN2 = series(ONE / 3n);

function logarithm(x: number): bigint {
  const [mantissa, exponent] = decompose(x);
  const length = mantissa.toString(2).length;
  // Between 1/2 and 1.
  const fraction = mantissa << BigInt(BITS - length);
  const z = ((fraction - ONE) << BigInt(BITS)) / (fraction + ONE);
  return series(z) + BigInt(exponent + length) * LN2;
}

function exponential(value: bigint): number {
  const twos = value / LN2 - (value < 0n ? 1n : 0n);
  const rest = value - twos * LN2;
  let sum = 0n;
  let term = ONE;
  for (let n = 1n; term !== 0n; n++) {
    sum += term;
    term = multiply(term, rest) / n;
  }
  // Of 64 bits, the lowest of which stands for all that follow, a conversion rounds right.
  const kept = (sum >> BigInt(BITS - 64)) | 1n;
  return Number(kept) * 2 ** (Number(twos) - 64);
}
