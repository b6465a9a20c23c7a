import { at } from '@emloc/checked';

import { typeError } from './errors.js';
import { encodeKey, floatKey, UNDEFINED_KEY, type Key } from './keys.js';
import { type Budget } from './limits.js';
import { PyFloat, RichText, Undefined } from './scalars.js';

/**
 * A value of a template. `null` is None; a number is an int that is a safe integer, a bigint one
 * beyond; an array is a list.
 */
export type PyValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PyValue[]
  | PyFloat
  | PyTuple
  | PyDict
  | RichText
  | Undefined
  | PyObject;

export interface CalendarDate {
  readonly year: number;
  /** From 1. */
  readonly month: number;
  readonly day: number;
}

/** What operations on values need of the rendering that they are part of. */
export interface Runtime {
  readonly budget: Budget;
  readonly date: CalendarDate;
  readonly isAutoescaping: boolean;
  /** An attribute as the sandbox gives it, or else an item. */
  getAttribute(value: PyValue, name: string): PyValue;
  /** An item, or else an attribute. */
  getItem(value: PyValue, key: PyValue): PyValue;
}

export type Kwargs = ReadonlyMap<string, PyValue> | null;

export class PyTuple {
  readonly items: readonly PyValue[];
  /** Of a named tuple: `grouper` and `list`. */
  readonly fields: readonly string[] | undefined;

  constructor(items: readonly PyValue[], fields?: readonly string[]) {
    this.items = items;
    this.fields = fields;
  }
}

/** Objects with their own attributes: functions, iterators, namespaces, loops … */
export abstract class PyObject {
  /** As `type(x).__name__`. */
  abstract readonly typeName: string;

  /** @returns undefined where there is no such public attribute */
  attribute(_runtime: Runtime, _name: string): PyValue | undefined {
    return undefined;
  }

  /** As `repr(x)`; objects that only have an address give their type. */
  repr(_runtime: Runtime): string {
    return `<${this.typeName} object>`;
  }

  /** Values that it keeps alive. */
  references(): Iterable<PyValue> {
    return [];
  }
}

/** Something that can be called. */
export abstract class PyCallable extends PyObject {
  abstract call(runtime: Runtime, args: PyValue[], kwargs: Kwargs): PyValue;
}

export type Native = (runtime: Runtime, args: PyValue[], kwargs: Kwargs) => PyValue;

export class PyFunction extends PyCallable {
  readonly typeName: string;
  readonly name: string;
  readonly native: Native;

  constructor(name: string, native: Native, typeName = 'builtin_function_or_method') {
    super();
    this.name = name;
    this.native = native;
    this.typeName = typeName;
  }

  call(runtime: Runtime, args: PyValue[], kwargs: Kwargs): PyValue {
    return this.native(runtime, args, kwargs);
  }

  override repr(): string {
    if (this.typeName === 'type') return `<class '${this.name}'>`;
    return this.typeName === 'function'
      ? `<function ${this.name}>`
      : `<built-in method ${this.name}>`;
  }
}

/** A method with the value that it belongs to. */
export class BoundMethod extends PyFunction {
  readonly self: PyValue;

  constructor(name: string, self: PyValue, native: Native) {
    super(name, native);
    this.self = self;
  }

  override references(): Iterable<PyValue> {
    return [this.self];
  }
}

/** What can be iterated once; `next` gives undefined at the end. */
export class PyIterator extends PyObject {
  readonly typeName: string;
  readonly next: () => PyValue | undefined;
  readonly #source: PyValue;

  constructor(typeName: string, next: () => PyValue | undefined, source: PyValue = null) {
    super();
    this.typeName = typeName;
    this.next = next;
    this.#source = source;
  }

  override references(): Iterable<PyValue> {
    return [this.#source];
  }
}

/** Live view of a dict. */
export class DictView extends PyObject {
  readonly kind: 'keys' | 'values' | 'items';
  readonly dict: PyDict;

  constructor(kind: 'keys' | 'values' | 'items', dict: PyDict) {
    super();
    this.kind = kind;
    this.dict = dict;
  }

  get typeName(): string {
    return `dict_${this.kind}`;
  }

  *values(): IterableIterator<PyValue> {
    if (this.kind === 'keys') yield* this.dict.keys();
    else if (this.kind === 'values') yield* this.dict.values();
    else for (const entry of this.dict.entries()) yield new PyTuple(entry);
  }

  override references(): Iterable<PyValue> {
    return [this.dict];
  }
}

export class PyRange extends PyObject {
  readonly typeName = 'range';
  readonly start: number;
  readonly stop: number;
  readonly step: number;
  readonly length: number;

  constructor(start: number, stop: number, step: number) {
    super();
    this.start = start;
    this.stop = stop;
    this.step = step;
    this.length = Math.max(0, Math.ceil((stop - start) / step));
  }

  at(index: number): number {
    return this.start + index * this.step;
  }

  override attribute(_runtime: Runtime, name: string): PyValue | undefined {
    return name === 'start' || name === 'stop' || name === 'step' ? this[name] : undefined;
  }

  override repr(): string {
    const step = this.step === 1 ? '' : `, ${this.step}`;
    return `range(${this.start}, ${this.stop}${step})`;
  }
}

/** More keys are found by an index. Most dicts of rows are smaller, and light without one. */
const MAX_SCANNED = 8;

/** dict: in order of insertion, keys by Python's equality (1 == 1.0 == True). */
export class PyDict {
  readonly #keys: Key[] = [];
  readonly #values: PyValue[] = [];
  #places: Map<Key, number> | undefined;
  /** Keys that are not themselves their hashed form. */
  #originals: Map<Key, PyValue> | undefined;

  static fromEntries(entries: Iterable<readonly [PyValue, PyValue]>): PyDict {
    const dict = new PyDict();
    for (const [key, value] of entries) dict.set(key, value);
    return dict;
  }

  get size(): number {
    return this.#keys.length;
  }

  /** -1 for a key that is not there. */
  #place(key: Key): number {
    return this.#places === undefined ? this.#keys.indexOf(key) : (this.#places.get(key) ?? -1);
  }

  /** @throws TemplateError for a key that cannot be hashed */
  get(key: PyValue): PyValue | undefined {
    return this.#values[this.#place(typeof key === 'string' ? key : toKey(key))];
  }

  has(key: PyValue): boolean {
    return this.#place(typeof key === 'string' ? key : toKey(key)) !== -1;
  }

  /** A key that is there already stays as it was first written. */
  set(key: PyValue, value: PyValue): this {
    const hashed = typeof key === 'string' ? key : toKey(key);
    const place = this.#place(hashed);
    if (place !== -1) this.#values[place] = value;
    else this.#add(key, hashed, value);
    return this;
  }

  #add(key: PyValue, hashed: Key, value: PyValue): void {
    if (hashed !== key) (this.#originals ??= new Map()).set(hashed, key);
    this.#places?.set(hashed, this.#keys.length);
    this.#keys.push(hashed);
    this.#values.push(value);
    if (this.#keys.length === MAX_SCANNED + 1)
      this.#places = new Map(this.#keys.map((known, place) => [known, place]));
  }

  keys(): IterableIterator<PyValue> {
    const originals = this.#originals;
    // Without originals, every hashed form is the key.
    if (originals === undefined) return this.#keys.values() as IterableIterator<PyValue>;
    return mapped(this.#keys, (key) => originalOf(originals, key));
  }

  values(): IterableIterator<PyValue> {
    return this.#values.values();
  }

  *entries(): IterableIterator<[PyValue, PyValue]> {
    let place = 0;
    for (const key of this.keys()) yield [key, at(this.#values, place++)];
  }

  copy(): PyDict {
    return PyDict.fromEntries(this.entries());
  }
}

function originalOf(originals: ReadonlyMap<Key, PyValue>, key: Key): PyValue {
  const original = originals.get(key);
  return original === undefined ? (key as PyValue) : original;
}

function* mapped<T, U>(items: Iterable<T>, change: (item: T) => U): IterableIterator<U> {
  for (const item of items) yield change(item);
}

/** The form of a key under which equal keys are the same. */
export function toKey(key: PyValue): Key {
  if (typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint') return key;
  if (typeof key === 'boolean') return Number(key);
  if (key === null) return key;
  if (key instanceof RichText) return key.text;
  if (key instanceof PyFloat) return floatKey(key);
  if (key instanceof PyTuple) return tupleKey(key);
  if (key instanceof Undefined) return UNDEFINED_KEY;
  if (Array.isArray(key)) throw typeError("unhashable type: 'list'");
  if (key instanceof PyDict) throw typeError("unhashable type: 'dict'");
  if (key instanceof DictView && key.kind !== 'values')
    throw typeError(`unhashable type: '${key.typeName}'`);
  if (key instanceof PyRange)
    return tupleKey(new PyTuple(['range', key.length, key.start, key.step]));
  return key;
}

/** Begins with a noncharacter, so that no text of a row equals it. */
function tupleKey({ items }: PyTuple): string {
  return `\uffff(${items.map((item) => encodeKey(toKey(item))).join(',')})`;
}
