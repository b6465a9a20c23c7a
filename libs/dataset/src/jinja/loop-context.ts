import { at } from '@emloc/checked';

import { isEqual } from './equality.js';
import { typeError } from './errors.js';
import { floorModulo } from './numbers.js';
import { Undefined } from './scalars.js';
import { sizeOf, toIterator } from './types.js';
import {
  PyCallable,
  PyFunction,
  PyTuple,
  type Kwargs,
  type PyValue,
  type Runtime,
} from './values.js';

/** Writes the body of a recursive loop for other items, one level deeper. */
export type Recurse = (items: PyValue, depth: number) => PyValue;

/** `loop`: where a loop is. Looks ahead only as far as it is asked to. */
export class LoopContext extends PyCallable {
  readonly typeName = 'LoopContext';
  readonly #iterable: PyValue;
  #next: () => PyValue | undefined;
  readonly #recurse: Recurse | undefined;
  readonly #depth: number;
  #index0 = -1;
  #length: number | undefined;
  #after: PyValue | undefined;
  #current: PyValue | undefined;
  #before: PyValue | undefined;
  #changed: PyTuple | undefined;

  constructor(iterable: PyValue, recurse?: Recurse, depth = 0) {
    super();
    this.#iterable = iterable;
    this.#next = toIterator(iterable);
    this.#recurse = recurse;
    this.#depth = depth;
  }

  /** The next item; undefined at the end. */
  advance(): PyValue | undefined {
    const item = this.#after === undefined ? this.#next() : this.#after;
    if (item === undefined) return undefined;
    this.#after = undefined;
    this.#index0++;
    this.#before = this.#current;
    this.#current = item;
    return item;
  }

  #peek(): PyValue | undefined {
    if (this.#after === undefined) this.#after = this.#next();
    return this.#after;
  }

  #lengthOfAll(runtime: Runtime): number {
    this.#length ??= sizeOf(this.#iterable) ?? this.#readAll(runtime);
    return this.#length;
  }

  #readAll(runtime: Runtime): number {
    const rest: PyValue[] = [];
    for (let item = this.#next(); item !== undefined; item = this.#next()) {
      runtime.budget.visit();
      rest.push(item);
    }
    runtime.budget.items(rest.length);
    this.#next = toIterator(rest);
    return rest.length + this.#index0 + 1 + (this.#after === undefined ? 0 : 1);
  }

  override attribute(runtime: Runtime, name: string): PyValue | undefined {
    switch (name) {
      case 'index':
        return this.#index0 + 1;
      case 'index0':
        return this.#index0;
      case 'first':
        return this.#index0 === 0;
      case 'last':
        return this.#peek() === undefined;
      case 'length':
        return this.#lengthOfAll(runtime);
      case 'revindex':
        return this.#lengthOfAll(runtime) - this.#index0;
      case 'revindex0':
        return this.#lengthOfAll(runtime) - this.#index0 - 1;
      default:
        return this.#rareAttribute(name);
    }
  }

  #rareAttribute(name: string): PyValue | undefined {
    switch (name) {
      case 'depth':
        return this.#depth + 1;
      case 'depth0':
        return this.#depth;
      case 'previtem':
        return this.#index0 === 0
          ? new Undefined('there is no previous item')
          : (this.#before ?? null);
      case 'nextitem': {
        const next = this.#peek();
        return next === undefined ? new Undefined('there is no next item') : next;
      }
      case 'cycle':
        return new PyFunction('cycle', (_runtime, args) => this.#cycle(args));
      case 'changed':
        return new PyFunction('changed', (runtime, args) => this.#hasChanged(runtime, args));
      default:
        return undefined;
    }
  }

  #cycle(args: PyValue[]): PyValue {
    if (args.length === 0) throw typeError('no items for cycling given');
    return at(args, floorModulo(this.#index0, args.length));
  }

  #hasChanged(runtime: Runtime, args: PyValue[]): boolean {
    const value = new PyTuple(args);
    if (this.#changed !== undefined && isEqual(runtime, this.#changed, value)) return false;
    this.#changed = value;
    return true;
  }

  call(_runtime: Runtime, args: PyValue[], kwargs: Kwargs): PyValue {
    const [items] = args;
    if (items === undefined || args.length > 1 || kwargs !== null)
      throw typeError('loop() takes exactly one argument');
    if (this.#recurse === undefined)
      throw typeError("The loop must have the 'recursive' marker to be called recursively.");
    return this.#recurse(items, this.#depth + 1);
  }

  override repr(runtime: Runtime): string {
    return `<LoopContext ${this.#index0 + 1}/${this.#lengthOfAll(runtime)}>`;
  }

  override references(): Iterable<PyValue> {
    return [this.#iterable];
  }
}
