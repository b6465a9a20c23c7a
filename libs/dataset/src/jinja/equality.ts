import { at } from '@emloc/checked';

import { typeError } from './errors.js';
import { isNumber, toInt } from './numbers.js';
import { compareTexts } from './python-text.js';
import { PyFloat, Undefined } from './scalars.js';
import { isText, textOf } from './text-values.js';
import { failUndefined, typeNameOf } from './types.js';
import { DictView, PyDict, PyRange, PyTuple, type PyValue, type Runtime } from './values.js';

/** As `a == b`. */
export function isEqual(runtime: Runtime, a: PyValue, b: PyValue): boolean {
  if (typeof a === 'string' && typeof b === 'string') return a === b;
  if (isText(a)) return isText(b) && textOf(a) === textOf(b);
  if (isNumber(a)) return isNumber(b) && numberOf(a) == numberOf(b); // eslint-disable-line eqeqeq
  if (a === null || b === null) return a === b;
  if (Array.isArray(a)) return Array.isArray(b) && areItemsEqual(runtime, a, b);
  if (a instanceof PyTuple) return b instanceof PyTuple && areItemsEqual(runtime, a.items, b.items);
  if (a instanceof PyDict) return b instanceof PyDict && areDictsEqual(runtime, a, b);
  if (a instanceof Undefined) return b instanceof Undefined;
  return isSameObject(runtime, a, b);
}

/** `==` of these compares exactly, also an int with a float. */
function numberOf(value: number | bigint | boolean | PyFloat): number | bigint {
  return value instanceof PyFloat ? value.value : toInt(value);
}

/** Containers look at identity first, so that a NaN equals itself. */
export function isSameOrEqual(runtime: Runtime, a: PyValue, b: PyValue): boolean {
  return a === b || isEqual(runtime, a, b);
}

function areItemsEqual(runtime: Runtime, a: readonly PyValue[], b: readonly PyValue[]): boolean {
  if (a.length !== b.length) return false;
  runtime.budget.visit(a.length);
  return a.every((item, i) => isSameOrEqual(runtime, item, at(b, i)));
}

function areDictsEqual(runtime: Runtime, a: PyDict, b: PyDict): boolean {
  if (a.size !== b.size) return false;
  runtime.budget.visit(a.size);
  for (const [key, value] of a.entries()) {
    const other = b.get(key);
    if (other === undefined || !isSameOrEqual(runtime, value, other)) return false;
  }
  return true;
}

function isSameObject(runtime: Runtime, a: PyValue, b: PyValue): boolean {
  if (a instanceof PyRange && b instanceof PyRange) return areRangesEqual(a, b);
  if (a instanceof DictView && b instanceof DictView && a.kind !== 'values')
    return a.dict.size === b.dict.size && isSubset(runtime, a, b);
  return a === b;
}

function areRangesEqual(a: PyRange, b: PyRange): boolean {
  if (a.length !== b.length) return false;
  return a.length === 0 || (a.start === b.start && (a.length === 1 || a.step === b.step));
}

function isSubset(runtime: Runtime, a: DictView, b: DictView): boolean {
  for (const value of a.values()) if (!isInView(runtime, value, b)) return false;
  return true;
}

/** As `value in view`. */
export function isInView(runtime: Runtime, value: PyValue, view: DictView): boolean {
  if (view.kind === 'keys') return view.dict.has(value);
  runtime.budget.visit(view.dict.size);
  for (const item of view.values()) if (isSameOrEqual(runtime, item, value)) return true;
  return false;
}

type Order = '<' | '<=' | '>' | '>=';

/** As `a < b` and its like. @throws for types without an order */
export function isOrdered(runtime: Runtime, order: Order, a: PyValue, b: PyValue): boolean {
  if (isNumber(a) && isNumber(b)) return holds(order, numberOf(a), numberOf(b));
  if (isText(a) && isText(b)) return holds(order, compareTexts(textOf(a), textOf(b)), 0);
  if (Array.isArray(a) && Array.isArray(b)) return areOrdered(runtime, order, a, b);
  if (a instanceof PyTuple && b instanceof PyTuple)
    return areOrdered(runtime, order, a.items, b.items);
  if (a instanceof Undefined) return failUndefined(a);
  if (b instanceof Undefined) return failUndefined(b);
  if (isSetLike(a) && isSetLike(b)) return areSetsOrdered(runtime, order, a, b);
  throw typeError(
    `'${order}' not supported between instances of '${typeNameOf(a)}' and '${typeNameOf(b)}'`,
  );
}

function isSetLike(value: PyValue): value is DictView {
  return value instanceof DictView && value.kind !== 'values';
}

/** Less is to be a part of. */
function areSetsOrdered(runtime: Runtime, order: Order, a: DictView, b: DictView): boolean {
  if (order.startsWith('>')) return areSetsOrdered(runtime, order === '>' ? '<' : '<=', b, a);
  return holds(order, a.dict.size, b.dict.size) && isSubset(runtime, a, b);
}

function holds(order: Order, a: number | bigint, b: number | bigint): boolean {
  switch (order) {
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
  }
}

function areOrdered(
  runtime: Runtime,
  order: Order,
  a: readonly PyValue[],
  b: readonly PyValue[],
): boolean {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = at(a, i);
    const right = at(b, i);
    runtime.budget.visit();
    if (!isSameOrEqual(runtime, left, right)) return isOrdered(runtime, order, left, right);
  }
  return holds(order, a.length, b.length);
}

/** As `sorted`: stable, also where reversed. Only `<` is asked. */
export function sortBy<T extends PyValue>(
  runtime: Runtime,
  items: readonly T[],
  key: (item: T) => PyValue,
  isReversed: boolean,
): T[] {
  const keyed = items.map((item) => ({ item, key: key(item) }));
  runtime.budget.items(items.length);
  keyed.sort((a, b) => {
    runtime.budget.visit();
    const [left, right] = isReversed ? [b, a] : [a, b];
    if (isOrdered(runtime, '<', left.key, right.key)) return -1;
    return isOrdered(runtime, '<', right.key, left.key) ? 1 : 0;
  });
  return keyed.map(({ item }) => item);
}
