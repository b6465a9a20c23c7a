import { bind, signature } from './arguments.js';
import { isEqual, isOrdered } from './equality.js';
import { filterNames } from './filter-names.js';
import { isLower, isUpper } from './letters.js';
import { isInt, isNumber } from './numbers.js';
import { isIn, isSame, modulo } from './operators.js';
import { PyFloat, Undefined } from './scalars.js';
import { isSafe, isText, textOf } from './text-values.js';
import { str } from './texts.js';
import { isCallable, isIterable, sizeOf } from './types.js';
import {
  PyDict,
  PyRange,
  PyTuple,
  toKey,
  type Kwargs,
  type PyValue,
  type Runtime,
} from './values.js';

type Test = (runtime: Runtime, args: PyValue[], kwargs: Kwargs) => boolean;

type Body = (value: PyValue, runtime: Runtime) => boolean;

function test(name: string, body: Body): [string, Test] {
  const params = signature(`test_${name}`, 'value');
  return [name, (runtime, args, kwargs) => body(bind(params, args, kwargs)[0], runtime)];
}

type PairBody = (value: PyValue, other: PyValue, runtime: Runtime) => boolean;

type PairParameters = 'a b /' | 'value num' | 'value other' | 'value seq';

function pairTest(name: string, parameters: PairParameters, body: PairBody): [string, Test] {
  const params = signature(name, parameters);
  return [
    name,
    (runtime, args, kwargs) => {
      const [value, other] = bind(params, args, kwargs);
      return body(value, other, runtime);
    },
  ];
}

/** The same comparison under each of its names. */
function comparison(names: string, body: PairBody): [string, Test][] {
  return names.split(' ').map((name) => pairTest(name, 'a b /', body));
}

function hasRest(rest: number): PairBody {
  return (value, by, runtime) => isEqual(runtime, modulo(runtime, value, by), rest);
}

function isSequence(value: PyValue): boolean {
  return sizeOf(value) !== undefined && (isSubscriptable(value) || value instanceof Undefined);
}

function isSubscriptable(value: PyValue): boolean {
  return (
    isText(value) ||
    Array.isArray(value) ||
    value instanceof PyTuple ||
    value instanceof PyDict ||
    value instanceof PyRange
  );
}

const odd = hasRest(1);
const even = hasRest(0);

function nameOf(value: PyValue): string {
  toKey(value);
  return isText(value) ? textOf(value) : '';
}

export const tests: ReadonlyMap<string, Test> = new Map([
  test('odd', (value, runtime) => odd(value, 2, runtime)),
  test('even', (value, runtime) => even(value, 2, runtime)),
  pairTest('divisibleby', 'value num', hasRest(0)),
  test('defined', (value) => !(value instanceof Undefined)),
  test('undefined', (value) => value instanceof Undefined),
  test('filter', (value) => filterNames.has(nameOf(value))),
  test('test', (value) => tests.has(nameOf(value))),
  test('none', (value) => value === null),
  test('boolean', (value) => typeof value === 'boolean'),
  test('false', (value) => value === false),
  test('true', (value) => value === true),
  test('integer', (value) => isInt(value) && typeof value !== 'boolean'),
  test('float', (value) => value instanceof PyFloat),
  test('lower', (value, runtime) => isLower(textOf(str(runtime, value)))),
  test('upper', (value, runtime) => isUpper(textOf(str(runtime, value)))),
  test('string', isText),
  test('mapping', (value) => value instanceof PyDict),
  test('number', isNumber),
  test('sequence', isSequence),
  test('iterable', isIterable),
  test('callable', isCallable),
  pairTest('sameas', 'value other', (value, other) => isSame(value, other)),
  test('escaped', isSafe),
  pairTest('in', 'value seq', (value, sequence, runtime) => isIn(runtime, value, sequence)),
  ...comparison('== eq equalto', (a, b, runtime) => isEqual(runtime, a, b)),
  ...comparison('!= ne', (a, b, runtime) => !isEqual(runtime, a, b)),
  ...comparison('> gt greaterthan', (a, b, runtime) => isOrdered(runtime, '>', a, b)),
  ...comparison('>= ge', (a, b, runtime) => isOrdered(runtime, '>=', a, b)),
  ...comparison('< lt lessthan', (a, b, runtime) => isOrdered(runtime, '<', a, b)),
  ...comparison('<= le', (a, b, runtime) => isOrdered(runtime, '<=', a, b)),
]);
