import { valueError } from './errors.js';
import { decimalToInt, normalize, type Int } from './numbers.js';
import { stripRange } from './python-text.js';
import { reprText } from './repr.js';

const zeros: readonly number[] = [
  0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
  0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0,
  0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x1d7ce,
  0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
];

/** Digits of any script, without white space around. */
function toAsciiDigits(text: string): string {
  const trimmed = text.slice(...stripRange(text, true, true));
  return trimmed.replace(/\p{Nd}/gu, (point) => {
    const code = point.codePointAt(0) ?? 0;
    const zero = zeros.find((first) => code >= first && code < first + 10);
    return zero === undefined ? point : String(code - zero);
  });
}

/** As `int(text, base)`. @throws ValueError */
export function parseIntText(text: string, base: number): Int {
  if (base !== 0 && (base < 2 || base > 36))
    throw valueError('int() base must be >= 2 and <= 36, or 0');
  const refuse = (): never => {
    throw valueError(`invalid literal for int() with base ${base}: ${reprText(text)}`);
  };
  const [, sign = '', body = ''] = /^([+-]?)([\s\S]*)$/.exec(toAsciiDigits(text)) ?? [];
  const [digits, radix] = withoutPrefix(body, base);
  if (!/^[0-9a-zA-Z]+(?:_[0-9a-zA-Z]+)*$/.test(digits)) return refuse();
  if (base === 0 && radix === 10 && /^0[0_]*[1-9]/.test(digits)) return refuse();
  const plain = digits.replaceAll('_', '').toLowerCase();
  if ([...plain].some((digit) => Number.parseInt(digit, 36) >= radix)) return refuse();
  if (radix === 10) return decimalToInt(sign + plain);
  const value = toBigInt(plain, radix);
  return normalize(sign === '-' ? -value : value);
}

const prefixes: Readonly<Record<string, number>> = { '0x': 16, '0o': 8, '0b': 2 };

function withoutPrefix(body: string, base: number): [string, number] {
  const radix = prefixes[body.slice(0, 2).toLowerCase()];
  if (radix === undefined || (base !== 0 && base !== radix)) return [body, base === 0 ? 10 : base];
  return [body.slice(2).replace(/^_/, ''), radix];
}

const literalPrefixes: Readonly<Record<number, string>> = { 2: '0b', 8: '0o', 16: '0x' };

function toBigInt(digits: string, radix: number): bigint {
  const prefix = literalPrefixes[radix];
  if (prefix !== undefined) return BigInt(prefix + digits);
  if (digits.length > 4300)
    throw valueError('Exceeds the limit (4300 digits) for integer string conversion');
  let value = 0n;
  for (const digit of digits) value = value * BigInt(radix) + BigInt(Number.parseInt(digit, 36));
  return value;
}

/** As `float(text)`. @throws ValueError */
export function parseFloatText(text: string): number {
  const plain = toAsciiDigits(text);
  const number =
    /^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?$/i;
  if (number.test(plain)) return Number(plain.replaceAll('_', ''));
  const word = /^([+-]?)(inf|infinity|nan)$/i.exec(plain);
  if (word === null) throw valueError(`could not convert string to float: ${reprText(text)}`);
  if (word[2]?.toLowerCase() === 'nan') return NaN;
  return word[1] === '-' ? -Infinity : Infinity;
}
