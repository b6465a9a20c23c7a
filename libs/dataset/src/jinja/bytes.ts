import { typeError, valueError } from './errors.js';
import { isText, textOf, type Text } from './text-values.js';
import { PyFunction, PyObject, type PyValue, type Runtime } from './values.js';

/** bytes, as `encode` makes them. */
class PyBytes extends PyObject {
  readonly typeName = 'bytes';
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super();
    this.bytes = bytes;
  }

  override attribute(_runtime: Runtime, name: string): PyValue | undefined {
    if (name === 'decode')
      return new PyFunction('decode', () => new TextDecoder('utf-8').decode(this.bytes));
    if (name === 'hex') return new PyFunction('hex', () => Buffer.from(this.bytes).toString('hex'));
    return undefined;
  }

  override repr(): string {
    const text = Array.from(this.bytes, (byte) => String.fromCharCode(byte)).join('');
    const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
    return `b${quote}${Array.from(text, (unit) => escapeByte(unit, quote)).join('')}${quote}`;
  }
}

const named: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escapeByte(unit: string, quote: string): string {
  if (unit === quote) return `\\${quote}`;
  if (named[unit] !== undefined) return named[unit];
  if (unit >= ' ' && unit < '\x7f') return unit;
  return `\\x${unit.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/** As `text.encode(encoding, errors)`, for the encodings that text is kept in. */
export function encodeText(
  runtime: Runtime,
  self: Text,
  [encoding = 'utf-8', errors = 'strict']: [PyValue?, PyValue?],
): PyBytes {
  if (!isText(encoding) || !isText(errors)) throw typeError('encode() arguments must be str');
  const text = textOf(self);
  runtime.budget.bytes(text.length * 3);
  const name = textOf(encoding).toLowerCase().replaceAll('_', '-');
  if (name === 'utf-8' || name === 'utf8') return new PyBytes(encodeUtf8(text));
  const limits: Record<string, number> = {
    ascii: 0x7f,
    'us-ascii': 0x7f,
    latin1: 0xff,
    'latin-1': 0xff,
    'iso-8859-1': 0xff,
  };
  const limit = Object.hasOwn(limits, name) ? limits[name] : undefined;
  if (limit === undefined) throw valueError(`unknown encoding: ${textOf(encoding)}`);
  return new PyBytes(encodeUnits(text, limit, textOf(errors)));
}

function encodeUtf8(text: string): Uint8Array {
  if (/[\ud800-\udfff]/u.test(text))
    throw valueError("'utf-8' codec can't encode a lone surrogate: surrogates not allowed");
  return new TextEncoder().encode(text);
}

function encodeUnits(text: string, limit: number, errors: string): Uint8Array {
  const bytes: number[] = [];
  for (const point of text) {
    const code = point.codePointAt(0) ?? 0;
    if (code <= limit) bytes.push(code);
    else if (errors === 'replace') bytes.push(0x3f);
    else if (errors !== 'ignore')
      throw valueError(`codec can't encode a character: ordinal not in range(${limit + 1})`);
  }
  return Uint8Array.from(bytes);
}
