import { pythonError, typeError } from './errors.js';
import { lengthOf } from './python-text.js';
import { PyFloat, RichText, Undefined } from './scalars.js';
import {
  DictView,
  PyCallable,
  PyDict,
  PyIterator,
  PyObject,
  PyRange,
  PyTuple,
  type PyValue,
} from './values.js';

/** As `type(x).__name__`. */
export function typeNameOf(value: PyValue): string {
  if (value === null) return 'NoneType';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number' || typeof value === 'bigint') return 'int';
  if (typeof value === 'string') return 'str';
  return objectTypeName(value);
}

function objectTypeName(value: object): string {
  if (Array.isArray(value)) return 'list';
  if (value instanceof PyFloat) return 'float';
  if (value instanceof PyTuple) return value.fields === undefined ? 'tuple' : '_GroupTuple';
  if (value instanceof PyDict) return 'dict';
  if (value instanceof RichText) return value.safe ? 'Markup' : 'str';
  if (value instanceof Undefined) return 'Undefined';
  return value instanceof PyObject ? value.typeName : 'object';
}

/** As `bool(x)`. */
export function isTruthy(value: PyValue): boolean {
  switch (typeof value) {
    case 'boolean':
      return value;
    case 'string':
      return value !== '';
    case 'number':
      return value !== 0;
    case 'bigint':
      return true;
    default:
      return value !== null && isTruthyObject(value);
  }
}

function isTruthyObject(value: object): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof PyDict) return value.size > 0;
  if (value instanceof Undefined) return false;
  if (value instanceof RichText) return value.text !== '';
  if (value instanceof PyTuple) return value.items.length > 0;
  if (value instanceof PyFloat) return value.value !== 0;
  if (value instanceof DictView) return value.dict.size > 0;
  return value instanceof PyRange ? value.length > 0 : true;
}

/** Any use of an undefined value but printing, testing and iterating it. */
export function failUndefined(value: Undefined): never {
  throw pythonError(value.exception, value.message);
}

export function isCallable(value: PyValue): boolean {
  return value instanceof PyCallable || value instanceof Undefined;
}

/** Iterates as a `for` does; nothing is charged. @throws for what cannot be iterated */
export function toIterator(value: PyValue): () => PyValue | undefined {
  if (Array.isArray(value)) return listIterator(value);
  if (value instanceof PyTuple) return listIterator(value.items);
  if (value instanceof PyIterator) return value.next;
  if (value instanceof PyRange) return rangeIterator(value);
  if (value instanceof Undefined) return () => undefined;
  if (typeof value === 'string') return fromIterable(value);
  if (value instanceof RichText) return fromIterable(value.text);
  if (value instanceof PyDict) return fromIterable(value.keys());
  if (value instanceof DictView) return fromIterable(value.values());
  throw typeError(`'${typeNameOf(value)}' object is not iterable`);
}

export function isIterable(value: PyValue): boolean {
  return (
    typeof value === 'string' ||
    Array.isArray(value) ||
    value instanceof PyTuple ||
    value instanceof PyIterator ||
    value instanceof PyRange ||
    value instanceof Undefined ||
    value instanceof RichText ||
    value instanceof PyDict ||
    value instanceof DictView
  );
}

function listIterator(items: readonly PyValue[]): () => PyValue | undefined {
  let index = 0;
  return () => items[index++];
}

function rangeIterator(range: PyRange): () => PyValue | undefined {
  let index = 0;
  return () => (index < range.length ? range.at(index++) : undefined);
}

function fromIterable(items: Iterable<PyValue>): () => PyValue | undefined {
  const iterator = items[Symbol.iterator]();
  return () => {
    const { done, value } = iterator.next();
    return done === true ? undefined : value;
  };
}

/** As `iter(reversed(x))`; undefined where Python's reversed refuses. */
export function toReversed(value: PyValue): readonly PyValue[] | undefined {
  if (Array.isArray(value)) return [...value].reverse();
  if (value instanceof PyTuple) return [...value.items].reverse();
  if (value instanceof PyDict) return [...value.keys()].reverse();
  if (value instanceof DictView) return [...value.values()].reverse();
  if (typeof value === 'string') return Array.from(value).reverse();
  if (value instanceof RichText)
    return Array.from(value.text, (unit) => new RichText(unit, value.safe)).reverse();
  if (value instanceof PyRange)
    return Array.from({ length: value.length }, (_, i) => value.at(value.length - 1 - i));
  return undefined;
}

/** As `len(x)`; undefined for what has no length. */
export function sizeOf(value: PyValue): number | undefined {
  if (typeof value === 'string') return lengthOf(value);
  if (Array.isArray(value)) return value.length;
  if (value instanceof RichText) return lengthOf(value.text);
  if (value instanceof PyDict) return value.size;
  if (value instanceof PyTuple) return value.items.length;
  if (value instanceof PyRange) return value.length;
  if (value instanceof DictView) return value.dict.size;
  return value instanceof Undefined ? 0 : undefined;
}
