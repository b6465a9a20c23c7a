import { getAttribute, getItem } from './attributes.js';
import { Budget, sizes, type Limits } from './limits.js';
import { RichText, Undefined, type Mark } from './scalars.js';
import { textOf, type Text } from './text-values.js';
import {
  PyDict,
  PyObject,
  PyTuple,
  type CalendarDate,
  type PyValue,
  type Runtime,
} from './values.js';

/** A variable that has no value yet. */
export const MISSING = Symbol('missing');
export type Slot = PyValue | typeof MISSING;

/** Where statements write to. */
export class Output {
  text = '';
  marks: Mark[] | undefined;

  write(budget: Budget, value: Text): void {
    if (typeof value !== 'string') this.#mark(value);
    this.text += typeof value === 'string' ? value : value.text;
    budget.output(this.text.length);
  }

  #mark({ marks }: RichText): void {
    const offset = this.text.length;
    for (const { start, end } of marks) this.mark(start + offset, end + offset);
  }

  mark(start: number, end: number): void {
    (this.marks ??= []).push({ start, end });
  }
}

/** Variables that are found by name: what a template was given, and what it sets at its top. */
export class Context {
  readonly variables: Map<string, PyValue>;
  readonly #given: (name: string) => PyValue | undefined;

  constructor(
    given: (name: string) => PyValue | undefined,
    variables = new Map<string, PyValue>(),
  ) {
    this.#given = given;
    this.variables = variables;
  }

  resolve(name: string): Slot {
    const value = this.given(name);
    return value === undefined ? MISSING : value;
  }

  given(name: string): PyValue | undefined {
    const value = this.variables.get(name);
    return value === undefined ? this.#given(name) : value;
  }

  /** With more variables, none of which is seen from outside. */
  derived(more: Iterable<readonly [string, PyValue]>): Context {
    const inner = new Map(more);
    return new Context((name) => (inner.has(name) ? inner.get(name) : this.given(name)));
  }
}

/** Variables of one call. */
export class Frame {
  readonly slots: Slot[];
  readonly parent: Frame | null;
  readonly runtime: RenderState;
  readonly context: Context;

  constructor(runtime: RenderState, context: Context, size: number, parent: Frame | null) {
    this.runtime = runtime;
    this.context = context;
    this.parent = parent;
    this.slots = new Array<Slot>(size).fill(MISSING);
  }

  at(hops: number): Frame | null {
    return hops === 0 || this.parent === null ? this : this.parent.at(hops - 1);
  }

  /** For a block: without the variables of this call, with these by name. */
  withContext(more: Iterable<readonly [string, PyValue]> | undefined): Frame {
    const context = more === undefined ? this.context : this.context.derived(more);
    return new Frame(this.runtime, context, 0, null);
  }
}

/** The state of one rendering. */
export class RenderState implements Runtime {
  readonly budget: Budget;
  readonly date: CalendarDate;
  readonly root = new Output();
  output = this.root;
  isAutoescaping = false;
  readonly frames: Frame[] = [];
  readonly outputs: Output[] = [];
  readonly items: ItemOffsets;
  /** Of the statement that runs. */
  line = 1;

  constructor(limits: Limits, date: CalendarDate, tracked: ReadonlySet<PyValue>) {
    this.budget = new Budget(limits, () => this.#measure());
    this.date = date;
    this.items = new ItemOffsets(tracked);
  }

  getAttribute(value: PyValue, name: string): PyValue {
    return getAttribute(this, value, name);
  }

  getItem(value: PyValue, key: PyValue): PyValue {
    return getItem(this, value, key);
  }

  /** What `write` writes, apart from the output. */
  capture<T>(write: () => T): { output: Output; result: T } {
    const outer = this.output;
    const output = new Output();
    this.outputs.push(outer);
    this.output = output;
    const result = write();
    this.output = outer;
    this.outputs.pop();
    this.budget.text(output.text.length);
    return { output, result };
  }

  #measure(): number {
    let bytes = this.output.text.length * sizes.BYTES_PER_UNIT;
    for (const output of this.outputs) bytes += output.text.length * sizes.BYTES_PER_UNIT;
    return bytes + measure(this.frames);
  }
}

/** Where in the text the passes of loops at the top began, by item. */
class ItemOffsets {
  readonly offsets = new Map<PyValue, number>();
  readonly #tracked: ReadonlySet<PyValue>;
  /** Loops over tracked items that run. */
  depth = 0;

  constructor(tracked: ReadonlySet<PyValue>) {
    this.#tracked = tracked;
  }

  get isTracking(): boolean {
    return this.#tracked.size > 0;
  }

  isTracked(item: PyValue): boolean {
    return this.#tracked.has(item);
  }

  /** A loop that wrote nothing only counts where no other one bound its items. */
  add(found: ReadonlyMap<PyValue, number>, hasWritten: boolean): void {
    for (const [item, offset] of found)
      if (hasWritten || !this.offsets.has(item)) this.offsets.set(item, offset);
  }
}

/** Bytes of what frames reach; a text counts each time, other values once. */
function measure(frames: readonly Frame[]): number {
  const seen = new Set<object>();
  const stack: unknown[] = [];
  let bytes = 0;
  for (const frame of frames)
    for (let scope: Frame | null = frame; scope !== null; scope = scope.parent)
      if (!seen.has(scope)) {
        seen.add(scope);
        stack.push(...scope.slots, ...scope.context.variables.values());
      }
  while (stack.length > 0) bytes += visit(stack.pop(), seen, stack);
  return bytes;
}

function visit(value: unknown, seen: Set<object>, stack: unknown[]): number {
  if (typeof value === 'string') return value.length * sizes.BYTES_PER_UNIT;
  if (typeof value === 'bigint') return value.toString(16).length / 2;
  if (typeof value !== 'object' || value === null || seen.has(value)) return 0;
  seen.add(value);
  if (Array.isArray(value)) return pushAll(value, stack);
  if (value instanceof PyTuple) return pushAll(value.items, stack);
  if (value instanceof RichText) return textOf(value).length * sizes.BYTES_PER_UNIT;
  if (value instanceof PyDict) return pushEntries(value, stack);
  if (value instanceof PyObject) for (const inner of value.references()) stack.push(inner);
  return value instanceof Undefined ? 0 : sizes.BYTES_PER_LIST;
}

function pushAll(items: readonly unknown[], stack: unknown[]): number {
  for (const item of items) stack.push(item);
  return sizes.BYTES_PER_LIST + items.length * sizes.BYTES_PER_ITEM;
}

function pushEntries(dict: PyDict, stack: unknown[]): number {
  for (const [key, value] of dict.entries()) {
    stack.push(key);
    stack.push(value);
  }
  return sizes.BYTES_PER_LIST + dict.size * sizes.BYTES_PER_ENTRY;
}
