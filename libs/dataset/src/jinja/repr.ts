import { floatToText, intToText } from './numbers.js';
import { PyFloat, RichText, Undefined } from './scalars.js';
import { unmarkedText } from './text-values.js';
import { DictView, PyDict, PyTuple, type PyObject, type PyValue, type Runtime } from './values.js';

// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const toEscape = /[\\'\0-\x1f\x7f-\uffff]/;
const notPrintable = /[\p{C}\p{Z}]/u;

/** As `repr` of a str. */
export function reprText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  if (!toEscape.test(text)) return quote + text + quote;
  let out = quote;
  for (const point of text) out += reprPoint(point, quote);
  return out + quote;
}

const named: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function reprPoint(point: string, quote: string): string {
  if (point === quote) return `\\${quote}`;
  if (point >= ' ' && point < '\x7f' && point !== '\\') return point;
  return named[point] ?? (isPrintable(point) ? point : escapePoint(point));
}

export function isPrintable(point: string): boolean {
  return point === ' ' || !notPrintable.test(point);
}

function escapePoint(point: string): string {
  const code = point.codePointAt(0) ?? 0;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}

/** As `repr(x)`. */
export function repr(runtime: Runtime, value: PyValue): string {
  const text = new Writer(runtime).repr(value);
  runtime.budget.text(text.length);
  return text;
}

class Writer {
  readonly #runtime: Runtime;
  /** Dicts and objects that are being written: one inside itself is cut short. */
  readonly #open = new Set<object>();
  #length = 0;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  repr(value: PyValue): string {
    if (value === null) return 'None';
    if (value === true) return 'True';
    if (value === false) return 'False';
    if (typeof value === 'string') return this.#counted(reprText(value));
    if (typeof value === 'number' || typeof value === 'bigint') return intToText(value);
    return this.#object(value);
  }

  /** Shared values are written again and again: the length is looked at while writing. */
  #counted(text: string): string {
    this.#length += text.length;
    if (this.#length > 2 ** 20) {
      this.#runtime.budget.text(this.#length);
      this.#length = 0;
    }
    return text;
  }

  #object(value: object & PyValue): string {
    if (Array.isArray(value)) return `[${this.#items(value)}]`;
    if (value instanceof PyDict) return this.#dict(value);
    if (value instanceof PyFloat) return floatToText(value.value);
    if (value instanceof PyTuple)
      return value.items.length === 1 ? `(${this.#items(value.items)},)` : this.#tuple(value);
    if (value instanceof RichText) return this.#richText(value);
    if (value instanceof Undefined) return 'Undefined';
    if (value instanceof DictView)
      return `${value.typeName}([${this.#items([...value.values()])}])`;
    return this.#counted(this.#other(value));
  }

  #tuple({ items }: PyTuple): string {
    return `(${this.#items(items)})`;
  }

  #items(items: readonly PyValue[]): string {
    this.#runtime.budget.visit(items.length);
    return items.map((item) => this.repr(item)).join(', ');
  }

  #dict(dict: PyDict): string {
    return this.#once(dict, '{...}', () => {
      const entries: string[] = [];
      for (const [key, value] of dict.entries())
        entries.push(`${this.repr(key)}: ${this.repr(value)}`);
      this.#runtime.budget.visit(entries.length);
      return `{${entries.join(', ')}}`;
    });
  }

  #richText(value: RichText): string {
    const text = reprText(unmarkedText(value, 'repr'));
    return this.#counted(value.safe ? `Markup(${text})` : text);
  }

  #other(value: PyObject): string {
    return this.#once(value, '...', () => {
      const { attributes } = value as { attributes?: unknown };
      if (attributes instanceof PyDict) return `<Namespace ${this.#dict(attributes)}>`;
      return value.repr(this.#runtime);
    });
  }

  #once(value: object, again: string, write: () => string): string {
    if (this.#open.has(value)) return again;
    this.#open.add(value);
    const text = write();
    this.#open.delete(value);
    return text;
  }
}
