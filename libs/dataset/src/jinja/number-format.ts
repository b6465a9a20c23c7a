import { toFixed, toSignificant } from './decimals.js';
import { exponentSuffix, floatToText, intToText, type Int } from './numbers.js';
import { lengthOf } from './python-text.js';

/** How a value is written in a field, of `%` as of `format`. */
export interface NumberStyle {
  readonly fill: string;
  readonly align: '<' | '>' | '^' | '=' | '';
  readonly sign: '+' | '-' | ' ';
  readonly alternate: boolean;
  /** Zeros between sign and digits. */
  readonly zero: boolean;
  readonly width: number;
  readonly grouping: ',' | '_' | '';
  readonly precision: number | undefined;
  /** Of the `%` operator: precision of ints counts digits. */
  readonly isPercent?: boolean;
  readonly withoutNegativeZero?: boolean;
}

export function padText(text: string, style: NumberStyle): string {
  const missing = style.width - lengthOf(text);
  if (missing <= 0) return text;
  const left = style.align === '>' ? missing : style.align === '^' ? missing >> 1 : 0;
  return style.fill.repeat(left) + text + style.fill.repeat(missing - left);
}

/** Sign, prefix and digits in their field. */
function padNumber(sign: string, digits: string, style: NumberStyle): string {
  const missing = style.width - lengthOf(sign) - lengthOf(digits);
  const isInside = style.align === '=' || style.zero;
  if (!isInside)
    return padText(sign + digits, { ...style, align: style.align === '' ? '>' : style.align });
  const fill = style.zero ? '0' : style.fill;
  if (fill === '0' && style.grouping !== '')
    return sign + groupWithZeros(digits, style.grouping, style.width - sign.length, 3);
  return sign + fill.repeat(Math.max(0, missing)) + digits;
}

/** Zeros are grouped like digits, and a separator never comes first. */
function groupWithZeros(grouped: string, separator: string, width: number, size: number): string {
  const [, whole = '', rest = ''] = /^([0-9,_]*)(.*)$/s.exec(grouped) ?? [];
  let digits = whole.replaceAll(separator, '');
  while (group(digits, separator, size).length + rest.length < width) digits = `0${digits}`;
  return group(digits, separator, size) + rest;
}

function group(digits: string, separator: string, size: number): string {
  if (separator === '') return digits;
  const head = digits.length % size || size;
  const parts = [digits.slice(0, head)];
  for (let i = head; i < digits.length; i += size) parts.push(digits.slice(i, i + size));
  return parts.join(separator);
}

const bases: Record<string, number> = { b: 2, o: 8, d: 10, x: 16, X: 16 };

/** `type` is one of b, d, o, x and X. */
export function formatInteger(value: Int, type: string, style: NumberStyle): string {
  const isNegative = value < 0;
  const magnitude = typeof value === 'bigint' ? (value < 0n ? -value : value) : Math.abs(value);
  const base = bases[type] ?? 10;
  const plain = base === 10 ? intToText(magnitude) : magnitude.toString(base);
  const minimum = style.isPercent === true ? (style.precision ?? 0) : 0;
  const digits = (type === 'X' ? plain.toUpperCase() : plain).padStart(minimum, '0');
  const prefix = style.alternate && base !== 10 ? `0${type}` : '';
  const sign = (isNegative ? '-' : style.sign === '-' ? '' : style.sign) + prefix;
  return padNumber(sign, group(digits, style.grouping, base === 10 ? 3 : 4), style);
}

/** `type` is one of e, E, f, F, g, G, % and, for the shortest digits, empty. */
export function formatFloat(value: number, type: string, style: NumberStyle): string {
  const digits = floatDigits(Math.abs(value), type, style);
  const isZero = style.withoutNegativeZero === true && !/[1-9]/.test(digits.replace(/e.*/, ''));
  const isNegative = !isZero && (value < 0 || Object.is(value, -0));
  const sign = isNegative ? '-' : style.sign === '-' ? '' : style.sign;
  if (!Number.isFinite(value)) return padNumber(sign, digits, { ...style, grouping: '' });
  if (style.grouping === '') return padNumber(sign, digits, style);
  const [, whole = '', rest = ''] = /^(\d*)(.*)$/s.exec(digits) ?? [];
  return padNumber(sign, group(whole, style.grouping, 3) + rest, style);
}

function floatDigits(value: number, type: string, style: NumberStyle): string {
  if (type === '%') return `${floatDigits(value * 100, 'f', style)}%`;
  const isUpper = type === 'E' || type === 'F' || type === 'G';
  const text = Number.isFinite(value)
    ? finiteDigits(value, type.toLowerCase(), style)
    : Number.isNaN(value)
      ? 'nan'
      : 'inf';
  return isUpper ? text.toUpperCase() : text;
}

function finiteDigits(value: number, type: string, style: NumberStyle): string {
  const { precision, alternate } = style;
  if (type === 'f') return fixed(value, precision ?? 6, alternate);
  if (type === 'e') return scientific(value, precision ?? 6, alternate);
  if (type === '' && precision === undefined) return floatToText(value);
  return general(value, precision ?? 6, alternate, type === '');
}

function fixed(value: number, places: number, alternate: boolean): string {
  const text = toFixed(value, places);
  return alternate && places === 0 ? `${text}.` : text;
}

function scientific(value: number, places: number, alternate: boolean): string {
  const { digits, exponent } = toSignificant(value, places + 1);
  const point = places > 0 || alternate ? '.' : '';
  return digits.charAt(0) + point + digits.slice(1) + exponentSuffix(exponent);
}

/** `isRepr`: format without a type, which keeps one digit after the point. */
function general(value: number, precision: number, alternate: boolean, isRepr: boolean): string {
  const count = Math.max(1, precision);
  const { digits, exponent } = toSignificant(value, count);
  if (exponent < -4 || exponent >= (isRepr ? count - 1 : count))
    return scientificGeneral(digits, exponent, alternate);
  const padded = exponent < 0 ? '0'.repeat(-exponent) + digits : digits;
  const whole = padded.slice(0, Math.max(exponent, 0) + 1);
  const fraction = padded.slice(Math.max(exponent, 0) + 1);
  if (alternate) return `${whole}.${fraction}`;
  const kept = fraction.replace(/0+$/, '');
  if (kept !== '') return `${whole}.${kept}`;
  return isRepr ? `${whole}.0` : whole;
}

function scientificGeneral(digits: string, exponent: number, alternate: boolean): string {
  const rest = alternate ? digits.slice(1) : digits.slice(1).replace(/0+$/, '');
  const point = rest !== '' || alternate ? '.' : '';
  return digits.charAt(0) + point + rest + exponentSuffix(exponent);
}
