import { isInView, isSameOrEqual } from './equality.js';
import { pythonError, typeError } from './errors.js';
import {
  addInts,
  divideInts,
  floorDivideFloats,
  floorDivideInts,
  isInt,
  isNumber,
  moduloFloats,
  moduloInts,
  multiplyInts,
  negateInt,
  powerFloats,
  powerInts,
  subtractInts,
  toInt,
  toNumber,
  type Int,
} from './numbers.js';
import { formatPercent } from './percent-format.js';
import { PyFloat, Undefined } from './scalars.js';
import {
  concatTexts,
  isSafe,
  isText,
  textOf,
  toText,
  unmarkedText,
  type Text,
} from './text-values.js';
import { escape } from './texts.js';
import { failUndefined, toIterator, typeNameOf } from './types.js';
import { DictView, PyDict, PyRange, PyTuple, type PyValue, type Runtime } from './values.js';

export type BinaryOperator = '+' | '-' | '*' | '/' | '//' | '%' | '**';
type Operation = (runtime: Runtime, a: PyValue, b: PyValue) => PyValue;

function unsupported(operator: string, a: PyValue, b: PyValue): Error {
  if (a instanceof Undefined) return pythonError(a.exception, a.message);
  if (b instanceof Undefined) return pythonError(b.exception, b.message);
  const types = `'${typeNameOf(a)}' and '${typeNameOf(b)}'`;
  return typeError(`unsupported operand type(s) for ${operator}: ${types}`);
}

/** Ints by one function, floats by another. */
function arithmetic(
  operator: string,
  ints: (a: Int, b: Int) => PyValue,
  floats: (a: number, b: number) => number,
): Operation {
  return (_runtime, a, b) => {
    if (isInt(a) && isInt(b)) return ints(toInt(a), toInt(b));
    if (isNumber(a) && isNumber(b)) return new PyFloat(floats(toNumber(a), toNumber(b)));
    throw unsupported(operator, a, b);
  };
}

const addNumbers = arithmetic('+', addInts, (a, b) => a + b);
const multiplyNumbers = arithmetic('*', multiplyInts, (a, b) => a * b);
const moduloNumbers = arithmetic('%', moduloInts, moduloFloats);

const subtract = arithmetic('-', subtractInts, (a, b) => a - b);
const floorDivide = arithmetic('//', floorDivideInts, floorDivideFloats);
export const power = arithmetic('**', powerInts, powerFloats);
export const divide = arithmetic(
  '/',
  (a, b) => new PyFloat(divideInts(a, b)),
  (a, b) => {
    if (b === 0) throw pythonError('ZeroDivisionError', 'float division by zero');
    return a / b;
  },
);

export function add(runtime: Runtime, a: PyValue, b: PyValue): PyValue {
  if (typeof a === 'string' && typeof b === 'string') {
    runtime.budget.text(a.length + b.length);
    return a + b;
  }
  if (isText(a) && isText(b)) return addTexts(runtime, a, b);
  if (Array.isArray(a) && Array.isArray(b)) {
    runtime.budget.items(a.length + b.length);
    return a.concat(b);
  }
  if (a instanceof PyTuple && b instanceof PyTuple) {
    runtime.budget.items(a.items.length + b.items.length);
    return new PyTuple(a.items.concat(b.items));
  }
  if (isText(a) && !(b instanceof Undefined))
    throw typeError(`can only concatenate str (not "${typeNameOf(b)}") to str`);
  return addNumbers(runtime, a, b);
}

function addTexts(runtime: Runtime, a: Text, b: Text): Text {
  if (!isSafe(a) && !isSafe(b)) return concatTexts(runtime, [a, b]);
  return concatTexts(runtime, [escape(runtime, a), escape(runtime, b)], true);
}

export function multiply(runtime: Runtime, a: PyValue, b: PyValue): PyValue {
  if (isInt(b) && isSequence(a)) return repeat(runtime, a, toInt(b));
  if (isInt(a) && isSequence(b)) return repeat(runtime, b, toInt(a));
  return multiplyNumbers(runtime, a, b);
}

type Sequence = Text | PyValue[] | PyTuple;

function isSequence(value: PyValue): value is Sequence {
  return isText(value) || Array.isArray(value) || value instanceof PyTuple;
}

function repeat(runtime: Runtime, value: Sequence, times: Int): PyValue {
  // Python's sizes are of 64 bits.
  if (times >= 2n ** 63n || times < -(2n ** 63n))
    throw pythonError('OverflowError', "cannot fit 'int' into an index-sized integer");
  const count = Math.max(0, Number(times));
  if (isText(value)) return repeatText(runtime, value, count);
  const items = Array.isArray(value) ? value : value.items;
  runtime.budget.items(items.length * count);
  const repeated = items.length === 0 || count === 0 ? [] : repeatItems(items, count);
  return Array.isArray(value) ? repeated : new PyTuple(repeated);
}

function repeatItems(items: readonly PyValue[], count: number): PyValue[] {
  const repeated: PyValue[] = [];
  for (let i = 0; i < count; i++) for (const item of items) repeated.push(item);
  return repeated;
}

function repeatText(runtime: Runtime, value: Text, count: number): Text {
  const text = unmarkedText(value, '*');
  runtime.budget.text(text.length * count);
  return toText(text === '' ? '' : text.repeat(count), isSafe(value));
}

export function modulo(runtime: Runtime, a: PyValue, b: PyValue): PyValue {
  if (isText(a)) return formatPercent(runtime, a, b);
  return moduloNumbers(runtime, a, b);
}

export const binaryOperations: Readonly<Record<BinaryOperator, Operation>> = {
  '+': add,
  '-': subtract,
  '*': multiply,
  '/': divide,
  '//': floorDivide,
  '%': modulo,
  '**': power,
};

export function negate(value: PyValue): PyValue {
  if (isInt(value)) return negateInt(toInt(value));
  if (value instanceof PyFloat) return new PyFloat(-value.value);
  if (value instanceof Undefined) return failUndefined(value);
  throw typeError(`bad operand type for unary -: '${typeNameOf(value)}'`);
}

export function plus(value: PyValue): PyValue {
  if (isInt(value)) return toInt(value);
  if (value instanceof PyFloat) return value;
  if (value instanceof Undefined) return failUndefined(value);
  throw typeError(`bad operand type for unary +: '${typeNameOf(value)}'`);
}

/** As `value in container`. */
export function isIn(runtime: Runtime, value: PyValue, container: PyValue): boolean {
  if (isText(container)) return isInText(runtime, value, container);
  if (container instanceof PyDict) return container.has(value);
  if (container instanceof DictView) return isInView(runtime, value, container);
  if (container instanceof PyRange && isNumber(value))
    return isInRange(Number(toNumber(value)), container);
  return isAmong(runtime, value, container);
}

function isInText(runtime: Runtime, value: PyValue, container: Text): boolean {
  if (!isText(value))
    throw typeError(`'in <string>' requires string as left operand, not ${typeNameOf(value)}`);
  runtime.budget.work(textOf(container).length);
  return textOf(container).includes(textOf(value));
}

function isInRange(value: number, range: PyRange): boolean {
  const index = (value - range.start) / range.step;
  return Number.isInteger(index) && index >= 0 && index < range.length;
}

function isAmong(runtime: Runtime, value: PyValue, container: PyValue): boolean {
  const next = containerIterator(container);
  for (let item = next(); item !== undefined; item = next()) {
    runtime.budget.visit();
    if (isSameOrEqual(runtime, item, value)) return true;
  }
  return false;
}

function containerIterator(container: PyValue): () => PyValue | undefined {
  try {
    return toIterator(container);
  } catch {
    throw typeError(`argument of type '${typeNameOf(container)}' is not iterable`);
  }
}

/** As `a is b`, as far as it can be known for texts and numbers. */
export function isSame(a: PyValue, b: PyValue): boolean {
  return a === b;
}
