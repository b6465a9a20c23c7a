import { pythonError, TemplateError, valueError } from './errors.js';
import { exactPower } from './exact-power.js';
import { PyFloat } from './scalars.js';
import { type PyValue } from './values.js';

/** Ints are numbers as far as they are safe integers, never -0, and bigints beyond. */
export type Int = number | bigint;

/** Larger ints are refused: one product of two takes noticeable time. */
const MAX_BITS = 2 ** 23;
const MAX_DIGITS = 4300;

export function isInt(value: PyValue): value is Int | boolean {
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean';
}

export function isNumber(value: PyValue): value is Int | boolean | PyFloat {
  return isInt(value) || value instanceof PyFloat;
}

export function toInt(value: Int | boolean): Int {
  return typeof value === 'boolean' ? Number(value) : value;
}

/** The one form of an int. */
export function normalize(value: bigint): Int {
  if (value >= -9007199254740991n && value <= 9007199254740991n) return Number(value);
  return value;
}

/** Of an integral number of any size. */
export function fromNumber(value: number): Int {
  return Number.isSafeInteger(value) ? value + 0 : normalize(BigInt(value));
}

/** As `float(x)`. */
export function toNumber(value: Int | boolean | PyFloat): number {
  if (value instanceof PyFloat) return value.value;
  const number = Number(value);
  if (!Number.isFinite(number))
    throw pythonError('OverflowError', 'int too large to convert to float');
  return number;
}

function exact(
  a: Int,
  b: Int,
  small: (a: number, b: number) => number,
  large: (a: bigint, b: bigint) => bigint,
): Int {
  if (typeof a === 'number' && typeof b === 'number') {
    const result = small(a, b);
    // Plus 0, since an int has no -0.
    if (Number.isSafeInteger(result)) return result + 0;
  }
  return normalize(large(BigInt(a), BigInt(b)));
}

export function addInts(a: Int, b: Int): Int {
  return exact(
    a,
    b,
    (x, y) => x + y,
    (x, y) => x + y,
  );
}

export function subtractInts(a: Int, b: Int): Int {
  return exact(
    a,
    b,
    (x, y) => x - y,
    (x, y) => x - y,
  );
}

export function multiplyInts(a: Int, b: Int): Int {
  return exact(
    a,
    b,
    (x, y) => x * y,
    (x, y) => {
      assertBits(bits(x) + bits(y));
      return x * y;
    },
  );
}

function bits(value: bigint): number {
  return value.toString(16).length * 4;
}

function assertBits(count: number): void {
  if (count > MAX_BITS)
    throw new TemplateError(
      'limit',
      `the template makes an int of more than ${MAX_BITS} bits: about ${count}`,
    );
}

function assertDivisor(value: Int, message: string): void {
  if (BigInt(value) === 0n) throw pythonError('ZeroDivisionError', message);
}

export function floorDivideInts(a: Int, b: Int): Int {
  assertDivisor(b, 'integer division or modulo by zero');
  return exact(a, b, (x, y) => Math.floor((x - floorModulo(x, y)) / y), bigFloorDivide);
}

function bigFloorDivide(x: bigint, y: bigint): bigint {
  const quotient = x / y;
  return x % y !== 0n && x < 0n !== y < 0n ? quotient - 1n : quotient;
}

export function moduloInts(a: Int, b: Int): Int {
  assertDivisor(b, 'integer modulo by zero');
  return exact(a, b, floorModulo, (x, y) => x - bigFloorDivide(x, y) * y);
}

/** With the sign of the divisor. */
export function floorModulo(x: number, y: number): number {
  const rest = x % y;
  return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest;
}

export function moduloFloats(x: number, y: number): number {
  if (y === 0) throw pythonError('ZeroDivisionError', 'float modulo');
  const rest = x % y;
  if (rest === 0) return y < 0 ? -0 : 0;
  return rest < 0 !== y < 0 ? rest + y : rest;
}

export function floorDivideFloats(x: number, y: number): number {
  if (y === 0) throw pythonError('ZeroDivisionError', 'float floor division by zero');
  const rest = x % y;
  const isAdjusted = rest !== 0 && rest < 0 !== y < 0;
  const quotient = (x - rest) / y - (isAdjusted ? 1 : 0);
  if (quotient === 0) return Object.is(x / y, -0) || x / y < 0 ? -0 : 0;
  const floor = Math.floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

/** Correctly rounded, also where the ints themselves are no doubles. */
export function divideInts(a: Int, b: Int): number {
  assertDivisor(b, 'division by zero');
  if (typeof a === 'number' && typeof b === 'number') return a / b;
  const quotient = divideBigInts(BigInt(a), BigInt(b));
  if (!Number.isFinite(quotient))
    throw pythonError('OverflowError', 'integer division result too large for a float');
  return quotient;
}

function divideBigInts(a: bigint, b: bigint): number {
  const negative = a < 0n !== b < 0n;
  const x = a < 0n ? -a : a;
  const y = b < 0n ? -b : b;
  // 66 bits of the quotient and a sticky bit round like the exact quotient.
  const shift = Math.max(0, 66 - (bits(x) - bits(y)));
  const scaled = x << BigInt(shift);
  const quotient = (scaled / y) * 2n + (scaled % y === 0n ? 0n : 1n);
  const value = scaleDown(Number(quotient), shift + 1);
  return negative ? -value : value;
}

function scaleDown(value: number, shift: number): number {
  const half = Math.floor(shift / 2);
  return (value / 2 ** half) * 2 ** -(shift - half);
}

export function powerInts(a: Int, b: Int): Int | PyFloat {
  if (b < 0) return new PyFloat(powerFloats(Number(a), Number(b)));
  if (typeof a === 'number' && typeof b === 'number') {
    const result = a ** b;
    if (Number.isSafeInteger(result)) return result + 0;
  }
  const base = BigInt(a);
  if (base !== 0n && base !== 1n && base !== -1n) assertBits((bits(base) - 3) * Number(b));
  if (base === -1n) return BigInt(b) % 2n === 0n ? 1 : -1;
  return base === 0n || base === 1n ? Number(base) : normalize(base ** BigInt(b));
}

export function powerFloats(x: number, y: number): number {
  if (x === 0 && y < 0)
    throw pythonError('ZeroDivisionError', '0.0 cannot be raised to a negative power');
  if (x === 1 || y === 0) return 1;
  if (x === -1 && !Number.isFinite(y) && !Number.isNaN(y)) return 1;
  const result = exactPower(x, y);
  if (Number.isNaN(result) && !Number.isNaN(x) && !Number.isNaN(y))
    throw valueError('complex numbers are not supported');
  if (!Number.isFinite(result) && Number.isFinite(x) && Number.isFinite(y))
    throw pythonError('OverflowError', "(34, 'Numerical result out of range')");
  return result;
}

export function negateInt(a: Int): Int {
  return typeof a === 'number' ? 0 - a : normalize(-a);
}

/** As `str(x)`. */
export function intToText(value: Int): string {
  if (typeof value === 'number') return String(value);
  const magnitude = value < 0n ? -value : value;
  if (bits(magnitude) > 14_288 || magnitude >= 10n ** BigInt(MAX_DIGITS)) throw tooManyDigits();
  return value.toString();
}

function tooManyDigits(): TemplateError {
  return valueError(
    `Exceeds the limit (${MAX_DIGITS} digits) for integer string conversion; ` +
      'use sys.set_int_max_str_digits() to increase the limit',
  );
}

/** Of decimal digits with an optional sign. */
export function decimalToInt(digits: string): Int {
  if (digits.length <= 15) return Number(digits) + 0;
  if (digits.replace(/^[+-]/, '').length > MAX_DIGITS) throw tooManyDigits();
  return normalize(BigInt(digits.replace(/^\+/, '')));
}

/** As `repr(x)`: the shortest digits that give the same float. */
export function floatToText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const shown = Math.abs(value).toExponential();
  const end = shown.indexOf('e');
  const text = placePoint(shown.slice(0, end).replace('.', ''), Number(shown.slice(end + 1)));
  return value < 0 ? `-${text}` : text;
}

function placePoint(digits: string, exponent: number): string {
  if (exponent < -4 || exponent >= 16) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    return `${digits.charAt(0)}${fraction}${exponentSuffix(exponent)}`;
  }
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${whole}.${digits.slice(exponent + 1) || '0'}`;
}

/** At least two digits. */
export function exponentSuffix(exponent: number): string {
  return `e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}
