import { sortBy } from './equality.js';
import { typeError } from './errors.js';
import { floatToText, intToText, isInt, toInt } from './numbers.js';
import { surrogate } from './python-text.js';
import { PyFloat } from './scalars.js';
import { isText, unmarkedText } from './text-values.js';
import { typeNameOf } from './types.js';
import { PyDict, PyTuple, type PyValue, type Runtime } from './values.js';

export interface JsonStyle {
  readonly ensureAscii: boolean;
  /** What a level is indented by; undefined for one line. */
  readonly indent: string | undefined;
  readonly itemSeparator: string;
  readonly keySeparator: string;
  readonly sortKeys: boolean;
}

export function writeJson(runtime: Runtime, value: PyValue, style: JsonStyle): string {
  return new Writer(runtime, style).write(value, '\n');
}

const escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

function escapeUnit(unit: string): string {
  return escapes[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const notPlain = /["\\\0-\x1f]/g;

function quote(text: string, ensureAscii: boolean): string {
  // JSON.stringify escapes the same, but for surrogates without a partner.
  const quoted = surrogate.test(text)
    ? `"${text.replace(notPlain, escapeUnit)}"`
    : JSON.stringify(text);
  return ensureAscii ? quoted.replace(/[\x7f-\uffff]/g, escapeUnit) : quoted;
}

class Writer {
  readonly #runtime: Runtime;
  readonly #style: JsonStyle;

  constructor(runtime: Runtime, style: JsonStyle) {
    this.#runtime = runtime;
    this.#style = style;
  }

  /** `newline`: a line end with the indentation of this level. */
  write(value: PyValue, newline: string): string {
    if (value === null) return 'null';
    if (typeof value === 'boolean') return String(value);
    if (isInt(value)) return intToText(toInt(value));
    if (isText(value)) return this.#text(unmarkedText(value, 'tojson'));
    if (value instanceof PyFloat) return writeFloat(value.value);
    if (Array.isArray(value)) return this.#array(value, newline);
    if (value instanceof PyTuple) return this.#array(value.items, newline);
    if (value instanceof PyDict) return this.#object(value, newline);
    throw typeError(`Object of type ${typeNameOf(value)} is not JSON serializable`);
  }

  #text(text: string): string {
    const quoted = quote(text, this.#style.ensureAscii);
    this.#runtime.budget.text(quoted.length);
    return quoted;
  }

  #array(items: readonly PyValue[], newline: string): string {
    if (items.length === 0) return '[]';
    this.#runtime.budget.visit(items.length);
    const inner = this.#deeper(newline);
    return this.#bracketed(
      '[',
      ']',
      newline,
      items.map((item) => this.write(item, inner)),
    );
  }

  #object(dict: PyDict, newline: string): string {
    if (dict.size === 0) return '{}';
    this.#runtime.budget.visit(dict.size);
    const inner = this.#deeper(newline);
    const { keySeparator } = this.#style;
    const parts = this.#entries(dict).map(
      ([key, value]) => this.#key(key) + keySeparator + this.write(value, inner),
    );
    return this.#bracketed('{', '}', newline, parts);
  }

  #entries(dict: PyDict): [PyValue, PyValue][] {
    if (!this.#style.sortKeys) return [...dict.entries()];
    const keys = sortBy(this.#runtime, [...dict.keys()], (key) => key, false);
    return keys.map((key) => [key, dict.get(key) ?? null]);
  }

  #key(key: PyValue): string {
    if (isText(key)) return this.#text(unmarkedText(key, 'tojson'));
    if (key === null || typeof key === 'boolean') return `"${String(key)}"`;
    if (isInt(key)) return `"${intToText(toInt(key))}"`;
    if (key instanceof PyFloat) return `"${writeFloat(key.value)}"`;
    throw typeError(`keys must be str, int, float, bool or None, not ${typeNameOf(key)}`);
  }

  #deeper(newline: string): string {
    return this.#style.indent === undefined ? newline : newline + this.#style.indent;
  }

  #bracketed(open: string, close: string, newline: string, parts: string[]): string {
    const { indent, itemSeparator } = this.#style;
    if (indent === undefined) return open + parts.join(itemSeparator) + close;
    const inner = newline + indent;
    this.#runtime.budget.text(parts.length * (inner.length + itemSeparator.length));
    return open + inner + parts.join(itemSeparator + inner) + newline + close;
  }
}

function writeFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  return floatToText(value);
}
