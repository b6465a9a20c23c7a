import { bind, signature, toIndex } from './arguments.js';
import { encodeText } from './bytes.js';
import { decompose } from './decimals.js';
import { isSameOrEqual } from './equality.js';
import { pythonError, typeError, valueError } from './errors.js';
import { stripTags, unescapeEntities } from './html.js';
import { fromNumber, isInt, normalize, toInt } from './numbers.js';
import { repr } from './repr.js';
import { textMethods } from './str-methods.js';
import { formatMap, formatText } from './text-format.js';
import { isSafe, isText, type Text } from './text-values.js';
import { toIterator, typeNameOf } from './types.js';
import {
  BoundMethod,
  DictView,
  PyDict,
  PyFloat,
  PyIterator,
  PyRange,
  PyTuple,
  type Kwargs,
  type PyValue,
  type Runtime,
} from './values.js';

export type Method = (runtime: Runtime, self: PyValue, args: PyValue[], kwargs: Kwargs) => PyValue;

type Bound = readonly (PyValue | undefined)[];

function method<T>(
  name: string,
  parameters: string,
  body: (runtime: Runtime, self: T, args: Bound) => PyValue,
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
  method<Text>('encode', 'encoding? errors?', encodeText),
]);

const ofMarkup = new Map<string, Method>([
  ...ofText,
  method<Text>('unescape', '', (_runtime, self) => unescapeEntities(self)),
  method<Text>('striptags', '', (runtime, self) => stripTags(runtime, self)),
]);

const ofDict = new Map<string, Method>([
  method<PyDict>('get', 'key default? /', (_runtime, self, [key = null, fallback = null]) => {
    const value = self.get(key);
    return value === undefined ? fallback : value;
  }),
  method<PyDict>('keys', '', (_runtime, self) => new DictView('keys', self)),
  method<PyDict>('values', '', (_runtime, self) => new DictView('values', self)),
  method<PyDict>('items', '', (_runtime, self) => new DictView('items', self)),
  method<PyDict>('copy', '', (runtime, self) => {
    runtime.budget.entries(self.size);
    return self.copy();
  }),
  method<PyDict>('fromkeys', 'iterable value? /', (runtime, _self, [keys = null, value = null]) =>
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
    method<PyValue>('count', 'value /', (runtime, self, [value = null]) => {
      runtime.budget.visit(items(self).length);
      return items(self).filter((item) => isSameOrEqual(runtime, item, value)).length;
    }),
    method<PyValue>('index', 'value start? stop? /', (runtime, self, args) =>
      indexOf(runtime, items(self), args, typeNameOf(self)),
    ),
  ];
}

function indexOf(
  runtime: Runtime,
  items: readonly PyValue[],
  [value = null, start, stop]: Bound,
  type: string,
): number {
  const at = (bound: PyValue | undefined, fallback: number): number => {
    const index = bound === undefined ? fallback : toIndex(bound);
    return index < 0 ? Math.max(0, index + items.length) : index;
  };
  const end = Math.min(items.length, at(stop, items.length));
  for (let i = at(start, 0); i < end; i++) {
    runtime.budget.visit();
    if (isSameOrEqual(runtime, items[i] ?? null, value)) return i;
  }
  throw valueError(
    type === 'list'
      ? `${repr(runtime, value)} is not in list`
      : `${type}.index(x): x not in ${type}`,
  );
}

const ofList = new Map<string, Method>([
  ...sequenceMethods((self) => self as PyValue[]),
  method<PyValue[]>('copy', '', (runtime, self) => {
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
  method<PyValue>('bit_length', '', (_runtime, self) =>
    toBigInt(self) === 0n ? 0 : magnitudeBits(self).length,
  ),
  method<PyValue>('bit_count', '', (_runtime, self) => magnitudeBits(self).split('1').length - 1),
  method<PyValue>('conjugate', '', (_runtime, self) => (isInt(self) ? toInt(self) : self)),
  method<PyValue>(
    'as_integer_ratio',
    '',
    (_runtime, self) => new PyTuple([normalize(toBigInt(self)), 1]),
  ),
]);

const ofFloat = new Map<string, Method>([
  method<PyFloat>('is_integer', '', (_runtime, self) => Number.isInteger(self.value)),
  method<PyFloat>('conjugate', '', (_runtime, self) => self),
  method<PyFloat>('as_integer_ratio', '', (_runtime, self) => ratioOf(self.value)),
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
  method<DictView>('isdisjoint', 'other /', (runtime, self, [other = null]) => {
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
  method<PyIterator>('close', '', () => null),
  method<PyIterator>('send', 'value /', (_runtime, self) => {
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
