import { last } from '@emloc/checked';

import { isOrdered } from './equality.js';
import { isPythonError } from './errors.js';
import { lengthOf, lineRanges } from './python-text.js';
import { repr, reprText } from './repr.js';
import { isSafe, isText, unmarkedText } from './text-values.js';
import { typeNameOf } from './types.js';
import { PyDict, PyTuple, type PyValue, type Runtime } from './values.js';

const WIDTH = 80;

/** As `pprint.pformat(value)`. */
export function prettyPrint(runtime: Runtime, value: PyValue): string {
  const text = new Printer(runtime).format(value, 0, 0, 0);
  runtime.budget.text(text.length);
  return text;
}

class Printer {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** `allowance`: what still follows on the last line. `level`: containers around it. */
  format(value: PyValue, indent: number, allowance: number, level: number): string {
    const line = this.#oneLine(value);
    if (lengthOf(line) <= WIDTH - indent - allowance) return line;
    const inner = level + 1;
    if (value instanceof PyDict) return this.#dict(value, indent, allowance, inner);
    if (Array.isArray(value)) return `[${this.#items(value, indent, allowance + 1, inner)}]`;
    if (value instanceof PyTuple && value.fields === undefined) {
      const end = value.items.length === 1 ? ',)' : ')';
      return `(${this.#items(value.items, indent, allowance + end.length, inner)}${end}`;
    }
    if (isText(value) && !isSafe(value)) return this.#text(value, indent, allowance, inner);
    return line;
  }

  #oneLine(value: PyValue): string {
    if (value instanceof PyDict) return this.#dictLine(value);
    if (Array.isArray(value)) return `[${value.map((item) => this.#oneLine(item)).join(', ')}]`;
    if (!(value instanceof PyTuple) || value.fields !== undefined)
      return repr(this.#runtime, value);
    const items = value.items.map((item) => this.#oneLine(item)).join(', ');
    return value.items.length === 1 ? `(${items},)` : `(${items})`;
  }

  #dictLine(dict: PyDict): string {
    const entries = this.#sorted(dict).map(
      ([key, value]) => `${this.#oneLine(key)}: ${this.#oneLine(value)}`,
    );
    this.#runtime.budget.visit(entries.length);
    return `{${entries.join(', ')}}`;
  }

  /** By key; keys without an order by the names of their types. */
  #sorted(dict: PyDict): [PyValue, PyValue][] {
    return [...dict.entries()].sort(([a], [b]) => (this.#isBefore(a, b) ? -1 : 1));
  }

  #isBefore(a: PyValue, b: PyValue): boolean {
    try {
      return isOrdered(this.#runtime, '<', a, b);
    } catch (error) {
      if (!isPythonError(error, 'TypeError')) throw error;
      return typeNameOf(a) < typeNameOf(b);
    }
  }

  #dict(dict: PyDict, indent: number, allowance: number, level: number): string {
    const entries = this.#sorted(dict);
    const lines = entries.map(([key, value], i) => {
      const shown = this.#oneLine(key);
      const after = i === entries.length - 1 ? allowance + 1 : 1;
      const at = indent + 1 + lengthOf(shown) + 2;
      return `${shown}: ${this.format(value, at, after, level)}`;
    });
    return `{${lines.join(`,\n${' '.repeat(indent + 1)}`)}}`;
  }

  #items(items: readonly PyValue[], indent: number, allowance: number, level: number): string {
    const lines = items.map((item, i) =>
      this.format(item, indent + 1, i === items.length - 1 ? allowance : 1, level),
    );
    return lines.join(`,\n${' '.repeat(indent + 1)}`);
  }

  /** Cut into several literals: at line ends, and between words. */
  #text(value: string | object, indent: number, allowance: number, level: number): string {
    const text = typeof value === 'string' ? value : unmarkedText(value as never, 'pprint');
    const at = level === 1 ? indent + 1 : indent;
    const after = level === 1 ? allowance + 1 : allowance;
    const parts = this.#textParts(text, WIDTH - at, after);
    if (parts.length === 1) return last(parts);
    const joined = parts.join(`\n${' '.repeat(at)}`);
    return level === 1 ? `(${joined})` : joined;
  }

  #textParts(text: string, width: number, allowance: number): string[] {
    const lines = lineRanges(text).map(({ start, next }) => text.slice(start, next));
    return lines.flatMap((line, i) => {
      const isLast = i === lines.length - 1;
      const shown = reprText(line);
      if (lengthOf(shown) <= (isLast ? width - allowance : width)) return [shown];
      return lineParts(line, width, isLast ? allowance : 0);
    });
  }
}

function lineParts(line: string, width: number, allowance: number): string[] {
  const words = line.match(/\S*\s*/g)?.filter((word) => word !== '') ?? [];
  const parts: string[] = [];
  let current = '';
  words.forEach((word, i) => {
    const candidate = current + word;
    const limit = i === words.length - 1 ? width - allowance : width;
    if (lengthOf(reprText(candidate)) <= limit) {
      current = candidate;
      return;
    }
    if (current !== '') parts.push(reprText(current));
    current = word;
  });
  if (current !== '') parts.push(reprText(current));
  return parts;
}
