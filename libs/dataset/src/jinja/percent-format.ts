import { pythonError, typeError, valueError } from './errors.js';
import { formatFloat, formatInteger, padText, type NumberStyle } from './number-format.js';
import { isInt, isNumber, toInt, toNumber } from './numbers.js';
import { parseFloatText, parseIntText } from './parse-numbers.js';
import { codePoints, lengthOf } from './python-text.js';
import { repr } from './repr.js';
import { PyFloat, Undefined } from './scalars.js';
import {
  escapeText,
  isSafe,
  isText,
  textOf,
  toText,
  unmarkedText,
  type Text,
} from './text-values.js';
import { plainStr } from './texts.js';
import { typeNameOf } from './types.js';
import { PyDict, PyRange, PyTuple, type PyValue, type Runtime } from './values.js';

const conversion =
  /%(?:\(((?:[^()]|\([^()]*\))*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?([\s\S]?)/gu;

/** As `text % values`; Markup escapes what goes in. */
export function formatPercent(runtime: Runtime, format: Text, values: PyValue): Text {
  const text = new Formatter(runtime, values, isSafe(format)).format(unmarkedText(format, '%'));
  runtime.budget.text(text.length);
  return toText(text, isSafe(format));
}

class Formatter {
  readonly #runtime: Runtime;
  readonly #values: PyValue;
  readonly #items: readonly PyValue[];
  readonly #isSafe: boolean;
  #used = 0;
  #usedKeys = false;

  constructor(runtime: Runtime, values: PyValue, safe: boolean) {
    this.#runtime = runtime;
    this.#values = values;
    this.#items = values instanceof PyTuple ? values.items : [values];
    this.#isSafe = safe;
  }

  format(format: string): string {
    const text = format.replace(conversion, (whole, key, flags, width, precision, type) =>
      this.#convert(whole, { key, flags, width, precision, type }),
    );
    this.#assertAllUsed();
    return text;
  }

  #assertAllUsed(): void {
    const values = this.#values;
    // Values that can be subscripted may be left unused.
    const isMapping =
      values instanceof PyDict ||
      values instanceof PyRange ||
      values instanceof Undefined ||
      Array.isArray(values);
    if (this.#used < this.#items.length && !this.#usedKeys && !isMapping)
      throw typeError('not all arguments converted during string formatting');
  }

  #next(): PyValue {
    const value = this.#usedKeys ? undefined : this.#items[this.#used++];
    if (value === undefined) throw typeError('not enough arguments for format string');
    return value;
  }

  #star(text: string | undefined): number | undefined {
    if (text !== '*') return text === undefined ? undefined : Number(text);
    const value = this.#next();
    if (!isInt(value)) throw typeError('* wants int');
    return Number(toInt(value));
  }

  #convert(whole: string, part: Record<string, string | undefined>): string {
    const { key, flags = '', type = '' } = part;
    const value = key === undefined ? undefined : this.#named(key);
    const width = this.#star(part['width']);
    const precision =
      whole.includes('.') && /\.(\*|\d*)/.test(whole.replace(/\(.*\)/s, ''))
        ? (this.#star(part['precision']) ?? 0)
        : undefined;
    if (type === '') throw valueError('incomplete format');
    if (whole === '%%') return '%';
    const style = toStyle(flags, width ?? 0, precision);
    return this.#write(value === undefined ? this.#next() : value, type, style);
  }

  #named(key: string): PyValue {
    if (!(this.#values instanceof PyDict)) throw typeError('format requires a mapping');
    this.#usedKeys = true;
    const value = this.#values.get(key);
    if (value === undefined) throw pythonError('KeyError', `'${key}'`);
    return value;
  }

  #write(value: PyValue, type: string, style: NumberStyle): string {
    this.#runtime.budget.text(style.width + (style.precision ?? 0));
    if ('sra'.includes(type)) return this.#text(value, type, style);
    if ('diu'.includes(type)) return formatInteger(this.#integer(value, type), 'd', style);
    if ('oxX'.includes(type)) return formatInteger(this.#hexInteger(value, type), type, style);
    if ('eEfFgG'.includes(type)) return formatFloat(this.#float(value), type, style);
    if (type === 'c') return padText(this.#character(value), style);
    const code = type.codePointAt(0) ?? 0;
    throw valueError(`unsupported format character '${type}' (0x${code.toString(16)})`);
  }

  #text(value: PyValue, type: string, style: NumberStyle): string {
    const text = type === 's' ? plainStr(this.#runtime, value, '%') : this.#repr(value, type);
    const isEscaped = !this.#isSafe || (type === 's' && isSafe(value));
    const shown = isEscaped ? text : escapeText(text);
    const cut =
      style.precision === undefined ? shown : codePoints(shown).slice(0, style.precision).join('');
    return padText(cut, { ...style, zero: false });
  }

  #repr(value: PyValue, type: string): string {
    const text = repr(this.#runtime, value);
    return type === 'a' ? toAscii(text) : text;
  }

  #integer(value: PyValue, type: string): number | bigint {
    if (isInt(value)) return toInt(value);
    if (value instanceof PyFloat) return truncate(value.value);
    if (this.#isSafe && isText(value)) return parseIntText(textOf(value), 10);
    throw typeError(`%${type} format: a real number is required, not ${typeNameOf(value)}`);
  }

  #hexInteger(value: PyValue, type: string): number | bigint {
    if (isInt(value) && !this.#isSafe) return toInt(value);
    throw typeError(`%${type} format: an integer is required, not ${typeNameOf(value)}`);
  }

  #float(value: PyValue): number {
    if (isNumber(value)) return toNumber(value);
    if (this.#isSafe && isText(value)) return parseFloatText(textOf(value));
    if (value instanceof Undefined) throw pythonError(value.exception, value.message);
    throw typeError(`must be real number, not ${typeNameOf(value)}`);
  }

  /** Markup wraps its values, which are then neither int nor character. */
  #character(value: PyValue): string {
    if (this.#isSafe) throw typeError('%c requires int or char');
    if (isText(value) && lengthOf(unmarkedText(value, '%')) === 1) return unmarkedText(value, '%');
    if (!isInt(value)) throw typeError('%c requires int or char');
    const code = Number(toInt(value));
    if (code < 0 || code > 0x10ffff)
      throw pythonError('OverflowError', '%c arg not in range(0x110000)');
    return String.fromCodePoint(code);
  }
}

function toStyle(flags: string, width: number, precision: number | undefined): NumberStyle {
  const isLeft = flags.includes('-') || width < 0;
  return {
    fill: ' ',
    align: isLeft ? '<' : '>',
    sign: flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '-',
    alternate: flags.includes('#'),
    zero: flags.includes('0') && !isLeft,
    width: Math.abs(width),
    grouping: '',
    precision,
    isPercent: true,
  };
}

/** As `int(x)` of a float. */
export function truncate(value: number): number | bigint {
  if (Number.isNaN(value)) throw valueError('cannot convert float NaN to integer');
  if (!Number.isFinite(value))
    throw pythonError('OverflowError', 'cannot convert float infinity to integer');
  const whole = Math.trunc(value);
  return Number.isSafeInteger(whole) ? whole + 0 : BigInt(whole);
}

/** As `ascii(x)` of a repr. */
export function toAscii(text: string): string {
  return text.replace(/[^\0-\x7f]/gu, (point) => {
    const code = point.codePointAt(0) ?? 0;
    if (code < 0x100) return `\\x${code.toString(16)}`;
    if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
    return `\\U${code.toString(16).padStart(8, '0')}`;
  });
}
