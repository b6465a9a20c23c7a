import { at } from '@emloc/checked';

import { bind, signature, toIndex, type Bound } from './arguments.js';
import { encodeText } from './bytes.js';
import { decompose } from './decimals.js';
import { isSameOrEqual } from './equality.js';
import { pythonError, typeError, valueError } from './errors.js';
import { stripTags, unescapeEntities } from './html.js';
import { fromNumber, isInt, normalize, toInt } from './numbers.js';
import { repr } from './repr.js';
import { PyFloat } from './scalars.js';
import { textMethods } from './str-methods.js';
import { formatMap, formatText } from './text-format.js';
import { isSafe, isText, type Text } from './text-values.js';
import { toIterator, typeNameOf } from './types.js';
import {
  BoundMethod,
  DictView,
  PyDict,
  PyIterator,
  PyRange,
  PyTuple,
  type Kwargs,
  type PyValue,
  type Runtime,
} from './values.js';

export type Method = (runtime: Runtime, self: PyValue, args: PyValue[], kwargs: Kwargs) => PyValue;

function method<T, Parameters extends string>(
  name: string,
  parameters: Parameters,
  body: (runtime: Runtime, self: T, args: Bound<Parameters>) => PyValue,
): [string, Method] {
  const params = signature(name, parameters);
  // Tables are chosen by the type of self.
  return [
    name,
    (runtime, self, args, kwargs) => body(runtime, self as T, bind(params, args, kwargs)),
  ];
}

const ofText = new Map<string, Method>([
  ...([...textMethods] as [string, Method][]),
  ['format', (runtime, self, args, kwargs) => formatText(runtime, self as Text, args, kwargs)],
  ['format_map', (runtime, self, args, kwargs) => formatMap(runtime, self as Text, args, kwargs)],
  method('encode', 'encoding? errors?', encodeText),
]);

const ofMarkup = new Map<string, Method>([
  ...ofText,
  method('unescape', '', (_runtime, self: Text) => unescapeEntities(self)),
  method('striptags', '', (runtime, self: Text) => stripTags(runtime, self)),
]);

const ofDict = new Map<string, Method>([
  method('get', 'key default? /', (_runtime, self: PyDict, [key, fallback = null]) => {
    const value = self.get(key);
    return value === undefined ? fallback : value;
  }),
  method('keys', '', (_runtime, self: PyDict) => new DictView('keys', self)),
  method('values', '', (_runtime, self: PyDict) => new DictView('values', self)),
  method('items', '', (_runtime, self: PyDict) => new DictView('items', self)),
  method('copy', '', (runtime, self: PyDict) => {
    runtime.budget.entries(self.size);
    return self.copy();
  }),
  method('fromkeys', 'iterable value? /', (runtime, _self: PyDict, [keys, value = null]) =>
    fromKeys(runtime, keys, value),
  ),
]);

function fromKeys(runtime: Runtime, keys: PyValue, value: PyValue): PyDict {
  const dict = new PyDict();
  const next = toIterator(keys);
  for (let key = next(); key !== undefined; key = next()) {
    runtime.budget.visit();
    runtime.budget.entries(1);
    dict.set(key, value);
  }
  return dict;
}

type Items = (self: PyValue) => readonly PyValue[];

function sequenceMethods(items: Items): [string, Method][] {
  return [
    method('count', 'value /', (runtime, self: PyValue, [value]) => {
      runtime.budget.visit(items(self).length);
      return items(self).filter((item) => isSameOrEqual(runtime, item, value)).length;
    }),
    method('index', 'value start? stop? /', (runtime, self: PyValue, args) =>
      indexOf(runtime, items(self), args, typeNameOf(self)),
    ),
  ];
}

function indexOf(
  runtime: Runtime,
  items: readonly PyValue[],
  [value, start, stop]: [PyValue, PyValue?, PyValue?],
  type: string,
): number {
  const clamp = (bound: PyValue | undefined, fallback: number): number => {
    const index = bound === undefined ? fallback : toIndex(bound);
    return index < 0 ? Math.max(0, index + items.length) : index;
  };
  const end = Math.min(items.length, clamp(stop, items.length));
  for (let i = clamp(start, 0); i < end; i++) {
    runtime.budget.visit();
    if (isSameOrEqual(runtime, at(items, i), value)) return i;
  }
  throw valueError(
    type === 'list'
      ? `${repr(runtime, value)} is not in list`
      : `${type}.index(x): x not in ${type}`,
  );
}

const ofList = new Map<string, Method>([
  ...sequenceMethods((self) => self as PyValue[]),
  method('copy', '', (runtime, self: PyValue[]) => {
    runtime.budget.items(self.length);
    return [...self];
  }),
]);

const ofTuple = new Map(sequenceMethods((self) => (self as PyTuple).items));

const ofRange = new Map(
  sequenceMethods((self) => {
    const range = self as PyRange;
    return Array.from({ length: range.length }, (_, i) => range.at(i));
  }),
);

function toBigInt(self: PyValue): bigint {
  return BigInt(isInt(self) ? toInt(self) : 0);
}

function magnitudeBits(self: PyValue): string {
  const value = toBigInt(self);
  return (value < 0n ? -value : value).toString(2);
}

const ofInt = new Map<string, Method>([
  method('bit_length', '', (_runtime, self: PyValue) =>
    toBigInt(self) === 0n ? 0 : magnitudeBits(self).length,
  ),
  method('bit_count', '', (_runtime, self: PyValue) => magnitudeBits(self).split('1').length - 1),
  method('conjugate', '', (_runtime, self: PyValue) => (isInt(self) ? toInt(self) : self)),
  method(
    'as_integer_ratio',
    '',
    (_runtime, self: PyValue) => new PyTuple([normalize(toBigInt(self)), 1]),
  ),
]);

const ofFloat = new Map<string, Method>([
  method('is_integer', '', (_runtime, self: PyFloat) => Number.isInteger(self.value)),
  method('conjugate', '', (_runtime, self: PyFloat) => self),
  method('as_integer_ratio', '', (_runtime, self: PyFloat) => ratioOf(self.value)),
]);

function ratioOf(value: number): PyTuple {
  if (!Number.isFinite(value))
    throw pythonError(
      Number.isNaN(value) ? 'ValueError' : 'OverflowError',
      `cannot convert ${Number.isNaN(value) ? 'NaN' : 'Infinity'} to integer ratio`,
    );
  if (Number.isInteger(value)) return new PyTuple([fromNumber(value), 1]);
  let [mantissa, exponent] = decompose(Math.abs(value));
  while (mantissa % 2n === 0n && exponent < 0) {
    mantissa /= 2n;
    exponent++;
  }
  const numerator = value < 0 ? -mantissa : mantissa;
  return new PyTuple([normalize(numerator), normalize(2n ** BigInt(-exponent))]);
}

const ofView = new Map<string, Method>([
  method('isdisjoint', 'other /', (runtime, self: DictView, [other]) => {
    const next = toIterator(other);
    const own = PyDict.fromEntries([...self.values()].map((value) => [value, null]));
    for (let item = next(); item !== undefined; item = next()) {
      runtime.budget.visit();
      if (own.has(item)) return false;
    }
    return true;
  }),
]);

const ofIterator = new Map<string, Method>([
  method('close', '', () => null),
  method('send', 'value /', (_runtime, self: PyIterator) => {
    const value = self.next();
    if (value === undefined) throw typeError('the generator is at its end');
    return value;
  }),
]);

function methodsOf(value: PyValue): ReadonlyMap<string, Method> | undefined {
  if (isText(value)) return isSafe(value) ? ofMarkup : ofText;
  if (value instanceof PyDict) return ofDict;
  if (Array.isArray(value)) return ofList;
  if (value instanceof PyTuple) return ofTuple;
  if (isInt(value)) return ofInt;
  if (value instanceof PyFloat) return ofFloat;
  if (value instanceof PyRange) return ofRange;
  if (value instanceof DictView) return ofView;
  return value instanceof PyIterator && value.typeName === 'generator' ? ofIterator : undefined;
}

/** A public method of the value's type. */
export function findMethod(value: PyValue, name: string): Method | undefined {
  return methodsOf(value)?.get(name);
}

export function bindMethod(value: PyValue, name: string): BoundMethod | undefined {
  const found = findMethod(value, name);
  if (found === undefined) return undefined;
  return new BoundMethod(name, value, (runtime, args, kwargs) =>
    found(runtime, value, args, kwargs),
  );
}
