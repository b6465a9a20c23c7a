import { at } from '@emloc/checked';

import { bindMethod } from './methods.js';
import { isInt, isNumber, toInt } from './numbers.js';
import { privateNames } from './private-names.js';
import { codePoints, isBmp, lengthOf, offsetOf } from './python-text.js';
import { repr } from './repr.js';
import { PyFloat, Undefined } from './scalars.js';
import { isText, sliceText, textOf, type Text } from './text-values.js';
import { failUndefined, typeNameOf } from './types.js';
import { PyDict, PyObject, PyRange, PyTuple, toKey, type PyValue, type Runtime } from './values.js';

/** As the environment's `getattr`: an attribute, or else an item. */
export function getAttribute(runtime: Runtime, value: PyValue, name: string): PyValue {
  if (value instanceof Undefined) return ofUndefined(value, name);
  const attribute = findAttribute(runtime, value, name);
  if (attribute !== undefined) return attribute;
  const item = findItem(runtime, value, name);
  return item === undefined ? undefinedAttribute(runtime, value, name) : item;
}

function ofUndefined(value: Undefined, name: string): PyValue {
  return privateNames(value).has(name) ? unsafe(value, name) : failUndefined(value);
}

/** As the environment's `getitem`: an item, or else an attribute. */
export function getItem(runtime: Runtime, value: PyValue, key: PyValue): PyValue {
  if (value instanceof Undefined) return failUndefined(value);
  const item = findItem(runtime, value, key);
  if (item !== undefined) return item;
  if (isText(key)) {
    const attribute = findAttribute(runtime, value, textOf(key));
    if (attribute !== undefined) return attribute;
  }
  return undefinedAttribute(runtime, value, key);
}

/** The attribute, an undefined value for one that the sandbox hides, or undefined. */
export function findAttribute(runtime: Runtime, value: PyValue, name: string): PyValue | undefined {
  if (value instanceof PyObject && !name.startsWith('__')) {
    const own = value.attribute(runtime, name);
    if (own !== undefined) return name.startsWith('_') ? unsafe(value, name) : own;
  }
  if (name.startsWith('_')) return privateNames(value).has(name) ? unsafe(value, name) : undefined;
  if (isNumber(value)) return numberAttribute(value, name) ?? bindMethod(value, name);
  if (value instanceof PyTuple && value.fields !== undefined) {
    const index = value.fields.indexOf(name);
    if (index !== -1) return value.items[index];
  }
  return isMutation(value, name) ? unsafe(value, name) : bindMethod(value, name);
}

const listMutations = new Set([
  'append',
  'clear',
  'pop',
  'reverse',
  'insert',
  'sort',
  'extend',
  'remove',
]);
const dictMutations = new Set(['clear', 'pop', 'popitem', 'setdefault', 'update']);

function isMutation(value: PyValue, name: string): boolean {
  if (Array.isArray(value)) return listMutations.has(name);
  return value instanceof PyDict && dictMutations.has(name);
}

function unsafe(value: PyValue, name: string): Undefined {
  const type = typeNameOf(value);
  return new Undefined(
    `access to attribute '${name}' of '${type}' object is unsafe.`,
    'SecurityError',
  );
}

function undefinedAttribute(runtime: Runtime, value: PyValue, name: PyValue): Undefined {
  return new Undefined(() => {
    const type = value === null ? 'None' : `${typeNameOf(value)} object`;
    if (isText(name)) return `'${type}' has no attribute '${textOf(name)}'`;
    return `${type} has no element ${repr(runtime, name)}`;
  });
}

function numberAttribute(value: PyValue, name: string): PyValue | undefined {
  if (value instanceof PyFloat) {
    if (name === 'real') return value;
    return name === 'imag' ? new PyFloat(0) : undefined;
  }
  if (!isInt(value)) return undefined;
  if (name === 'real' || name === 'numerator') return toInt(value);
  if (name === 'imag') return 0;
  return name === 'denominator' ? 1 : undefined;
}

/** As `value[key]`; undefined where Python raises TypeError or LookupError. */
function findItem(runtime: Runtime, value: PyValue, key: PyValue): PyValue | undefined {
  if (value instanceof PyDict) return isHashable(key) ? value.get(key) : undefined;
  if (value instanceof PyObject && !(value instanceof PyRange))
    return isText(key) ? value.attribute(runtime, `[${textOf(key)}]`) : undefined;
  if (!isInt(key)) return undefined;
  const index = Number(toInt(key));
  if (Array.isArray(value)) return itemAt(value, index);
  if (value instanceof PyTuple) return itemAt(value.items, index);
  if (isText(value)) return characterAt(value, index);
  return value instanceof PyRange ? rangeAt(value, index) : undefined;
}

function isHashable(key: PyValue): boolean {
  if (key === null || typeof key !== 'object') return true;
  try {
    toKey(key);
    return true;
  } catch {
    return false;
  }
}

function itemAt(items: readonly PyValue[], index: number): PyValue | undefined {
  return items[index < 0 ? index + items.length : index];
}

function rangeAt(range: PyRange, index: number): PyValue | undefined {
  const place = index < 0 ? index + range.length : index;
  return place >= 0 && place < range.length ? range.at(place) : undefined;
}

function characterAt(value: Text, index: number): PyValue | undefined {
  const text = textOf(value);
  const isPlain = isBmp(text);
  const length = isPlain ? text.length : lengthOf(text);
  const place = index < 0 ? index + length : index;
  if (place < 0 || place >= length) return undefined;
  if (isPlain) return sliceText(value, place, place + 1);
  const start = offsetOf(text, place);
  const point = at(codePoints(text.slice(start, start + 2)), 0);
  return sliceText(value, start, start + point.length);
}
