import { toIndex } from './arguments.js';
import { roundFloat, toFixed } from './decimals.js';
import { isPythonError, pythonError, typeError } from './errors.js';
import { filter, type Filter } from './filter.js';
import { fromNumber, isInt, isNumber, negateInt, normalize, toInt, toNumber } from './numbers.js';
import { divide, multiply, power } from './operators.js';
import { parseFloatText, parseIntText } from './parse-numbers.js';
import { truncate } from './percent-format.js';
import { PyFloat, Undefined } from './scalars.js';
import { isText, textOf } from './text-values.js';
import { failUndefined, isTruthy, typeNameOf } from './types.js';
import { type PyValue, type Runtime } from './values.js';

function abs(_runtime: Runtime, [value]: [PyValue]): PyValue {
  if (isInt(value)) return toInt(value) < 0 ? negateInt(toInt(value)) : toInt(value);
  if (value instanceof PyFloat) return new PyFloat(Math.abs(value.value));
  throw typeError(`bad operand type for abs(): '${typeNameOf(value)}'`);
}

/** As `int(value, base)`. */
function toIntValue(value: PyValue, base: PyValue): PyValue {
  if (isText(value)) return parseIntText(textOf(value), toIndex(base));
  if (isInt(value)) return toInt(value);
  if (value instanceof PyFloat) return fromNumber(Number(truncate(value.value)));
  if (value instanceof Undefined) return failUndefined(value);
  throw typeError(`int() argument must be a string or a real number, not '${typeNameOf(value)}'`);
}

/** As `float(value)`. */
function toFloatValue(value: PyValue): PyFloat {
  if (isText(value)) return new PyFloat(parseFloatText(textOf(value)));
  if (isNumber(value)) return new PyFloat(toNumber(value));
  if (value instanceof Undefined) return failUndefined(value);
  throw typeError(`float() argument must be a string or a real number, not '${typeNameOf(value)}'`);
}

/** What `convert` gives, or `fallback` where Python raises one of these. */
function orElse(
  convert: () => PyValue,
  exceptions: Parameters<typeof isPythonError>[1][],
  fallback: () => PyValue,
): PyValue {
  try {
    return convert();
  } catch (error) {
    if (!isPythonError(error, ...exceptions)) throw error;
    return fallback();
  }
}

function int(
  _runtime: Runtime,
  [value, fallback = 0, base = 10]: [PyValue, PyValue?, PyValue?],
): PyValue {
  return orElse(
    () => toIntValue(value, base),
    ['TypeError', 'ValueError'],
    () =>
      orElse(
        () => toIntValue(toFloatValue(value), 10),
        ['TypeError', 'ValueError', 'OverflowError'],
        () => fallback,
      ),
  );
}

function float(
  _runtime: Runtime,
  [value, fallback = new PyFloat(0)]: [PyValue, PyValue?],
): PyValue {
  return orElse(
    () => toFloatValue(value),
    ['TypeError', 'ValueError'],
    () => fallback,
  );
}

function round(
  runtime: Runtime,
  [value, precision = 0, method = 'common']: [PyValue, PyValue?, PyValue?],
): PyValue {
  const name = isText(method) ? textOf(method) : '';
  if (name === 'common') return roundCommon(value, precision);
  if (name !== 'ceil' && name !== 'floor')
    throw pythonError('TemplateRuntimeError', 'method must be common, ceil or floor');
  const scale = power(runtime, 10, precision);
  const scaled = multiply(runtime, value, scale);
  if (!isNumber(scaled)) throw typeError(`must be real number, not ${typeNameOf(scaled)}`);
  const whole = isInt(scaled)
    ? toInt(scaled)
    : fromNumber(Number(truncate(Math[name](finite(scaled.value)))));
  return divide(runtime, whole, scale);
}

function finite(value: number): number {
  truncate(value);
  return value;
}

function roundCommon(value: PyValue, precision: PyValue): PyValue {
  if (value instanceof PyFloat) {
    const places = precision === null ? 0 : toIndex(precision);
    if (precision === null) return fromNumber(Number(truncate(roundFloat(value.value, 0))));
    return new PyFloat(roundFloat(value.value, places));
  }
  if (value instanceof Undefined) return failUndefined(value);
  if (!isInt(value)) throw typeError(`type ${typeNameOf(value)} doesn't define __round__ method`);
  const places = precision === null ? 0 : toIndex(precision);
  return places >= 0 ? toInt(value) : roundInt(toInt(value), -places);
}

/** To tens, hundreds …; halves to the even one. */
function roundInt(value: number | bigint, zeros: number): PyValue {
  if (zeros > 400) return 0;
  const unit = 10n ** BigInt(zeros);
  const exact = BigInt(value);
  const rest = ((exact % unit) + unit) % unit;
  const below = exact - rest;
  const isUp = rest * 2n > unit || (rest * 2n === unit && (below / unit) % 2n !== 0n);
  return normalize(isUp ? below + unit : below);
}

const decimalUnits = ['kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB'];
const binaryUnits = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB'];

function filesizeformat(_runtime: Runtime, [value, binary = false]: [PyValue, PyValue?]): PyValue {
  const bytes = toFloatValue(value).value;
  const base = isTruthy(binary) ? 1024 : 1000;
  const units = isTruthy(binary) ? binaryUnits : decimalUnits;
  if (bytes === 1) return '1 Byte';
  if (bytes < base) return `${truncate(bytes)} Bytes`;
  let at = 0;
  while (at < units.length - 1 && !(bytes < base ** (at + 2))) at++;
  const amount = (base * bytes) / base ** (at + 2);
  if (!Number.isFinite(amount)) return `${Number.isNaN(amount) ? 'nan' : 'inf'} ${units[at]}`;
  return `${toFixed(amount, 1)} ${units[at]}`;
}

export const numberFilters: [string, Filter][] = [
  filter('abs', 'x /', abs),
  filter('int', 'value default? base?', int),
  filter('float', 'value default?', float),
  filter('round', 'value precision? method?', round),
  filter('filesizeformat', 'value binary?', filesizeformat),
];
