/** Exact decimal digits of doubles, rounded half to even as Python's dtoa does. */

/** The value is 0.DIGITS times 10 to `point`. */
interface Decimal {
  readonly digits: string;
  readonly point: number;
}

/** All digits of a finite number that is not negative. */
function exactDecimal(value: number): Decimal {
  if (value === 0) return { digits: '', point: 0 };
  const [mantissa, exponent] = decompose(value);
  const integer = exponent >= 0 ? mantissa << BigInt(exponent) : mantissa * 5n ** BigInt(-exponent);
  const digits = integer.toString();
  const point = digits.length - (exponent >= 0 ? 0 : -exponent);
  return { digits: digits.replace(/0+$/, ''), point };
}

/** value = mantissa * 2 ** exponent */
export function decompose(value: number): [bigint, number] {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xfffffffffffffn;
  return biased === 0 ? [fraction, -1074] : [fraction | 0x10000000000000n, biased - 1075];
}

/** Keeps `count` digits; fewer than that are left as they are. */
function roundDigits({ digits, point }: Decimal, count: number): Decimal {
  if (count < 0) return { digits: '', point: 0 };
  if (digits.length <= count) return { digits, point };
  const kept = digits.slice(0, count);
  if (!roundsUp(kept, digits.slice(count))) return { digits: kept.replace(/0+$/, ''), point };
  const raised = (BigInt(kept || '0') + 1n).toString().padStart(count, '0');
  const carry = raised.length > count ? 1 : 0;
  return { digits: raised.replace(/0+$/, ''), point: point + carry };
}

function roundsUp(kept: string, rest: string): boolean {
  const first = rest.charAt(0);
  if (first !== '5') return first > '5';
  if (/[1-9]/.test(rest.slice(1))) return true;
  return kept !== '' && Number(kept.at(-1)) % 2 === 1;
}

/** With `places` digits after the point. */
export function toFixed(value: number, places: number): string {
  const exact = exactDecimal(value);
  const { digits, point } = roundDigits(exact, exact.point + places);
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0';
  const fraction = point > 0 ? digits.slice(point) : '0'.repeat(-point) + digits;
  return places === 0 ? whole : `${whole}.${fraction.slice(0, places).padEnd(places, '0')}`;
}

/** Digits and decimal exponent with `count` significant digits (1 at least). */
export function toSignificant(value: number, count: number): { digits: string; exponent: number } {
  if (value === 0) return { digits: '0'.repeat(count), exponent: 0 };
  const { digits, point } = roundDigits(exactDecimal(value), count);
  return { digits: digits.padEnd(count, '0'), exponent: point - 1 };
}

/** As `round(value, places)`. */
export function roundFloat(value: number, places: number): number {
  if (!Number.isFinite(value) || value === 0) return value;
  if (places > 323) return value;
  if (places < -308) return value < 0 ? -0 : 0;
  const exact = exactDecimal(Math.abs(value));
  const { digits, point } = roundDigits(exact, exact.point + places);
  const rounded = Number(`0.${digits || '0'}e${point}`);
  return value < 0 ? -rounded : rounded;
}
