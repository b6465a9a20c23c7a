import { pythonError, typeError, valueError } from './errors.js';
import { formatValue } from './format-spec.js';
import { toAscii } from './percent-format.js';
import { repr } from './repr.js';
import { escapeText, isSafe, isText, toText, unmarkedText, type Text } from './text-values.js';
import { plainStr } from './texts.js';
import { PyDict, type Kwargs, type PyValue, type Runtime } from './values.js';

/** As `text.format(*args, **kwargs)` inside the sandbox. */
export function formatText(
  runtime: Runtime,
  self: Text,
  args: readonly PyValue[],
  kwargs: Kwargs | PyDict,
): Text {
  const fields = new Fields(runtime, args, kwargs, isSafe(self));
  const text = fields.format(unmarkedText(self, 'format'), 2);
  runtime.budget.text(text.length);
  return toText(text, isSafe(self));
}

/** As `text.format_map(mapping)`. */
export function formatMap(runtime: Runtime, self: Text, args: PyValue[], kwargs: Kwargs): Text {
  if (kwargs !== null && kwargs.size > 0)
    throw typeError('format_map() takes no keyword arguments');
  const [mapping, ...rest] = args;
  if (mapping === undefined || rest.length > 0)
    throw typeError(`format_map() takes exactly one argument (${args.length} given)`);
  if (!(mapping instanceof PyDict)) throw typeError('format_map() takes a mapping');
  return formatText(runtime, self, [], mapping);
}

interface Field {
  readonly name: string;
  readonly conversion: string;
  readonly spec: string;
}

type Part = string | Field;

class Fields {
  readonly #runtime: Runtime;
  readonly #args: readonly PyValue[];
  readonly #kwargs: Kwargs | PyDict;
  readonly #isSafe: boolean;
  #next: number | 'manual' = 0;

  constructor(runtime: Runtime, args: readonly PyValue[], kwargs: Kwargs | PyDict, safe: boolean) {
    this.#runtime = runtime;
    this.#args = args;
    this.#kwargs = kwargs;
    this.#isSafe = safe;
  }

  format(format: string, depth: number): string {
    if (depth < 0) throw valueError('Max string recursion exceeded');
    return parse(format)
      .map((part) => (typeof part === 'string' ? part : this.#field(part, depth)))
      .join('');
  }

  #field({ name, conversion, spec }: Field, depth: number): string {
    const value = this.#convert(this.#lookUp(this.#number(name)), conversion);
    return this.#write(value, this.format(spec, depth - 1));
  }

  #write(value: PyValue, spec: string): string {
    if (!this.#isSafe) return formatValue(this.#runtime, value, spec);
    if (isSafe(value) && isText(value)) {
      if (spec !== '') throw valueError('Unsupported format specification for Markup.');
      return unmarkedText(value, 'format');
    }
    return escapeText(formatValue(this.#runtime, value, spec));
  }

  #number(name: string): string {
    const isAutomatic = name === '';
    const isNumber = /^\d+$/.test(name);
    if (!isAutomatic && !isNumber) return name;
    if (isAutomatic !== (this.#next !== 'manual') && this.#next !== 0) throw mixed();
    if (!isAutomatic) {
      this.#next = 'manual';
      return name;
    }
    if (this.#next === 'manual') throw mixed();
    return String(this.#next++);
  }

  #lookUp(name: string): PyValue {
    const [, first = '', rest = ''] = /^([^.[]*)([\s\S]*)$/.exec(name) ?? [];
    let value = /^\d+$/.test(first) ? this.#positional(Number(first)) : this.#named(first);
    for (const step of steps(rest))
      value =
        step.attribute === undefined
          ? this.#runtime.getItem(value, step.item ?? '')
          : this.#runtime.getAttribute(value, step.attribute);
    return value;
  }

  #positional(index: number): PyValue {
    const value = this.#args[index];
    if (value === undefined)
      throw pythonError(
        'IndexError',
        `Replacement index ${index} out of range for positional args tuple`,
      );
    return value;
  }

  #named(name: string): PyValue {
    const value = this.#kwargs?.get(name);
    if (value === undefined) throw pythonError('KeyError', `'${name}'`);
    return value;
  }

  #convert(value: PyValue, conversion: string): PyValue {
    if (conversion === '') return value;
    if (conversion === 's') return plainStr(this.#runtime, value, 'format');
    if (conversion === 'r') return repr(this.#runtime, value);
    if (conversion === 'a') return toAscii(repr(this.#runtime, value));
    throw valueError(`Unknown conversion specifier ${conversion}`);
  }
}

function mixed(): Error {
  return valueError('cannot switch from manual field specification to automatic field numbering');
}

function steps(rest: string): { attribute?: string; item?: PyValue }[] {
  const found: { attribute?: string; item?: PyValue }[] = [];
  let left = rest;
  while (left !== '') {
    const match = /^(?:\.([^.[]+)|\[([^\]]+)\])/.exec(left);
    if (match === null) throw valueError('Empty attribute in format string');
    const [whole, attribute, item] = match;
    if (attribute !== undefined) found.push({ attribute });
    else found.push({ item: /^\d+$/.test(item ?? '') ? Number(item) : (item ?? '') });
    left = left.slice(whole.length);
  }
  return found;
}

/** Literal texts and fields. */
function parse(format: string): Part[] {
  const parts: Part[] = [];
  let at = 0;
  while (at < format.length) {
    const [literal, next] = readLiteral(format, at);
    parts.push(literal);
    at = next;
    if (at >= format.length) break;
    const end = fieldEnd(format, at);
    parts.push(parseField(format.slice(at, end)));
    at = end + 1;
  }
  return parts;
}

/** @returns the text, and where the next field begins (after its brace) */
function readLiteral(format: string, start: number): [string, number] {
  let text = '';
  for (let i = start; i < format.length; i++) {
    const unit = format.charAt(i);
    if (unit !== '{' && unit !== '}') {
      text += unit;
      continue;
    }
    if (format.charAt(i + 1) === unit) {
      text += unit;
      i++;
      continue;
    }
    if (unit === '}') throw valueError("Single '}' encountered in format string");
    if (i + 1 === format.length) throw valueError("Single '{' encountered in format string");
    return [text, i + 1];
  }
  return [text, format.length];
}

function fieldEnd(format: string, start: number): number {
  let depth = 1;
  let isInBrackets = false;
  for (let i = start; i < format.length; i++) {
    const unit = format.charAt(i);
    if (unit === '[' && depth === 1) isInBrackets = true;
    if (unit === ']') isInBrackets = false;
    if (isInBrackets) continue;
    if (unit === '{') depth++;
    if (unit === '}' && --depth === 0) return i;
  }
  throw valueError("expected '}' before end of string");
}

function parseField(field: string): Field {
  const match = /^((?:\[[^\]]*\]|[^[!:{}])*)(?:!([\s\S]?)(?=:|$))?(?::([\s\S]*))?$/.exec(field);
  if (match === null) throw valueError('unexpected character in field of format string');
  const [whole, name = '', conversion, spec = ''] = match;
  if (whole.charAt(name.length) === '!' && (conversion ?? '') === '')
    throw valueError('end of string while looking for conversion specifier');
  return { name, conversion: conversion ?? '', spec };
}
