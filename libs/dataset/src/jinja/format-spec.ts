import { typeError, valueError } from './errors.js';
import { formatFloat, formatInteger, padText, type NumberStyle } from './number-format.js';
import { isInt, isNumber, toInt, toNumber } from './numbers.js';
import { codePoints } from './python-text.js';
import { PyFloat } from './scalars.js';
import { isText, unmarkedText } from './text-values.js';
import { plainStr } from './texts.js';
import { typeNameOf } from './types.js';
import { type PyValue, type Runtime } from './values.js';

const specification =
  /^(?:([\s\S])?([<>=^]))?([-+ ])?(z)?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([a-zA-Z%])?$/u;

interface Spec extends NumberStyle {
  readonly type: string;
  readonly hasSign: boolean;
}

/** As `format(value, spec)`. */
export function formatValue(runtime: Runtime, value: PyValue, spec: string): string {
  if (isText(value)) return formatString(runtime, unmarkedText(value, 'format'), spec);
  if (spec === '') return plainStr(runtime, value, 'format');
  if (!isNumber(value))
    throw typeError(`unsupported format string passed to ${typeNameOf(value)}.__format__`);
  const parsed = parseSpec(spec, value);
  runtime.budget.text(parsed.width + (parsed.precision ?? 0));
  return isInt(value) ? formatInt(toInt(value), parsed) : formatReal(toNumber(value), parsed);
}

function parseSpec(spec: string, value: PyValue): Spec {
  const match = specification.exec(spec);
  if (match === null)
    throw valueError(
      `Invalid format specifier '${spec}' for object of type '${typeNameOf(value)}'`,
    );
  const [, fill, align, sign, noNegativeZero, alternate, zero, width, grouping, precision, type] =
    match;
  return {
    fill: fill ?? (zero === undefined ? ' ' : '0'),
    withoutNegativeZero: noNegativeZero !== undefined,
    align: (align ?? (zero === undefined ? '' : '=')) as NumberStyle['align'],
    sign: (sign ?? '-') as NumberStyle['sign'],
    hasSign: sign !== undefined,
    alternate: alternate !== undefined,
    zero: zero !== undefined && (align === undefined || align === '=') && fill === undefined,
    width: Number(width ?? 0),
    grouping: (grouping ?? '') as NumberStyle['grouping'],
    precision: precision === undefined ? undefined : Number(precision),
    type: type ?? '',
  };
}

function formatString(runtime: Runtime, text: string, spec: string): string {
  if (spec === '') return text;
  const parsed = parseSpec(spec, text);
  if (parsed.type !== '' && parsed.type !== 's') throw unknownCode(parsed.type, text);
  if (parsed.hasSign) throw valueError('Sign not allowed in string format specifier');
  if (parsed.alternate)
    throw valueError('Alternate form (#) not allowed in string format specifier');
  if (parsed.grouping !== '') throw valueError(`Cannot specify '${parsed.grouping}' with 's'.`);
  if (parsed.align === '=' && !/^0?\d*/.test(spec))
    throw valueError("'=' alignment not allowed in string format specifier");
  runtime.budget.text(parsed.width);
  const cut =
    parsed.precision === undefined ? text : codePoints(text).slice(0, parsed.precision).join('');
  return padText(cut, {
    ...parsed,
    align: parsed.align === '=' ? stringAlign(spec) : parsed.align,
  });
}

/** A zero before the width of a text fills on the right. */
function stringAlign(spec: string): '<' {
  if (/^.?=/u.test(spec)) throw valueError("'=' alignment not allowed in string format specifier");
  return '<';
}

function unknownCode(type: string, value: PyValue): Error {
  return valueError(`Unknown format code '${type}' for object of type '${typeNameOf(value)}'`);
}

function formatInt(value: number | bigint, spec: Spec): string {
  if ('eEfFgG%'.includes(spec.type) && spec.type !== '') return formatReal(toNumber(value), spec);
  if (spec.precision !== undefined)
    throw valueError('Precision not allowed in integer format specifier');
  if (spec.type === 'c') return formatCharacter(value, spec);
  if (spec.grouping === ',' && 'boxXn'.includes(spec.type) && spec.type !== '')
    throw valueError(`Cannot specify ',' with '${spec.type}'.`);
  if (!['', 'n', 'd', 'b', 'o', 'x', 'X'].includes(spec.type)) throw unknownCode(spec.type, 0);
  return formatInteger(value, spec.type === '' || spec.type === 'n' ? 'd' : spec.type, spec);
}

function formatCharacter(value: number | bigint, spec: Spec): string {
  if (spec.hasSign) throw valueError("Sign not allowed with integer format specifier 'c'");
  const code = Number(value);
  if (code < 0 || code > 0x10ffff) throw valueError('%c arg not in range(0x110000)');
  return padText(String.fromCodePoint(code), spec);
}

function formatReal(value: number, spec: Spec): string {
  if (!['', 'n', 'e', 'E', 'f', 'F', 'g', 'G', '%'].includes(spec.type))
    throw unknownCode(spec.type, new PyFloat(0));
  return formatFloat(value, spec.type === 'n' ? 'g' : spec.type, spec);
}
