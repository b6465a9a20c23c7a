import { at } from '@emloc/checked';

import { bind, signature, toIndex } from './arguments.js';
import { pythonError, TemplateError, typeError, valueError } from './errors.js';
import { repr } from './repr.js';
import { strftime } from './strftime.js';
import { isText, textOf } from './text-values.js';
import { plainStr } from './texts.js';
import { toIterator, typeNameOf } from './types.js';
import {
  PyCallable,
  PyDict,
  PyFunction,
  PyObject,
  PyRange,
  type Kwargs,
  type Native,
  type PyValue,
  type Runtime,
} from './values.js';

const MAX_RANGE = 100_000;

/** Attributes that a template may set. */
export class Namespace extends PyObject {
  readonly typeName = 'Namespace';
  readonly attributes: PyDict;

  constructor(attributes: PyDict) {
    super();
    this.attributes = attributes;
  }

  override attribute(_runtime: Runtime, name: string): PyValue | undefined {
    return this.attributes.get(name);
  }

  override references(): Iterable<PyValue> {
    return [this.attributes];
  }
}

/** As `dict(...)`. */
function makeDict(runtime: Runtime, args: PyValue[], kwargs: Kwargs): PyDict {
  if (args.length > 1) throw typeError(`dict expected at most 1 argument, got ${args.length}`);
  const [source] = args;
  const dict = source === undefined ? new PyDict() : toDict(runtime, source);
  for (const [name, value] of kwargs ?? []) dict.set(name, value);
  runtime.budget.entries(dict.size);
  return dict;
}

function toDict(runtime: Runtime, source: PyValue): PyDict {
  if (source instanceof PyDict) return source.copy();
  const dict = new PyDict();
  const next = toIterator(source);
  for (let item = next(); item !== undefined; item = next()) {
    runtime.budget.visit();
    const pair = toPair(item);
    dict.set(pair[0], pair[1]);
  }
  return dict;
}

function toPair(item: PyValue): [PyValue, PyValue] {
  const next = toIterator(item);
  const [key, value, more] = [next(), next(), next()];
  if (key === undefined || value === undefined || more !== undefined)
    throw valueError('dictionary update sequence element has the wrong length; 2 is required');
  return [key, value];
}

function makeRange(_runtime: Runtime, args: PyValue[], kwargs: Kwargs): PyRange {
  if (kwargs !== null && kwargs.size > 0) throw typeError('range() takes no keyword arguments');
  if (args.length === 0 || args.length > 3)
    throw typeError(`range expected 1 to 3 arguments, got ${args.length}`);
  const numbers = args.map(toIndex);
  const first = at(numbers, 0);
  const second = numbers.at(1);
  const step = numbers.at(2) ?? 1;
  if (step === 0) throw valueError('range() arg 3 must not be zero');
  if (!numbers.every(Number.isSafeInteger))
    throw pythonError('OverflowError', 'range() takes ints of up to 53 bits');
  const range = second === undefined ? new PyRange(0, first, 1) : new PyRange(first, second, step);
  if (range.length > MAX_RANGE)
    throw pythonError(
      'OverflowError',
      `Range too big. The sandbox blocks ranges larger than MAX_RANGE (${MAX_RANGE}).`,
    );
  return range;
}

class Cycler extends PyObject {
  readonly typeName = 'Cycler';
  readonly #items: PyValue[];
  #at = 0;

  constructor(items: PyValue[]) {
    super();
    this.#items = items;
  }

  override attribute(_runtime: Runtime, name: string): PyValue | undefined {
    if (name === 'current') return this.#items[this.#at];
    if (name === 'pos') return this.#at;
    if (name === 'next') return new PyFunction('next', () => this.#next());
    if (name !== 'reset') return undefined;
    return new PyFunction('reset', () => {
      this.#at = 0;
      return null;
    });
  }

  #next(): PyValue {
    const item = at(this.#items, this.#at);
    this.#at = (this.#at + 1) % this.#items.length;
    return item;
  }

  override references(): Iterable<PyValue> {
    return this.#items;
  }
}

class Joiner extends PyCallable {
  readonly typeName = 'Joiner';
  readonly #separator: PyValue;
  #isUsed = false;

  constructor(separator: PyValue) {
    super();
    this.#separator = separator;
  }

  override attribute(_runtime: Runtime, name: string): PyValue | undefined {
    if (name === 'sep') return this.#separator;
    return name === 'used' ? this.#isUsed : undefined;
  }

  call(): PyValue {
    if (this.#isUsed) return this.#separator;
    this.#isUsed = true;
    return '';
  }
}

function makeCycler(_runtime: Runtime, args: PyValue[], kwargs: Kwargs): PyValue {
  if (kwargs !== null && kwargs.size > 0) throw typeError('cycler() takes no keyword arguments');
  if (args.length === 0)
    throw pythonError('TemplateRuntimeError', 'at least one item has to be provided');
  return new Cycler(args);
}

function makeJoiner([separator = ', ']: [PyValue?]): Joiner {
  return new Joiner(separator);
}

const joinerSignature = signature('joiner', 'sep?');
const raiseSignature = signature('raise_exception', 'message');
const strftimeSignature = signature('strftime_now', 'format');

function raiseException(runtime: Runtime, args: PyValue[], kwargs: Kwargs): never {
  const [message] = bind(raiseSignature, args, kwargs);
  throw new TemplateError('raised', isText(message) ? textOf(message) : repr(runtime, message));
}

function strftimeNow(runtime: Runtime, args: PyValue[], kwargs: Kwargs): PyValue {
  const [format] = bind(strftimeSignature, args, kwargs);
  if (!isText(format))
    throw typeError(`strftime() argument 1 must be str, not ${typeNameOf(format)}`);
  const text = strftime(plainStr(runtime, format, 'strftime'), runtime.date);
  runtime.budget.text(text.length);
  return text;
}

function refuse(name: string, reason: string): Native {
  return () => {
    throw pythonError('TemplateRuntimeError', `${name} is not supported: ${reason}`);
  };
}

/** What every template finds by name. */
export const globals: ReadonlyMap<string, PyValue> = new Map<string, PyValue>([
  ['dict', new PyFunction('dict', makeDict, 'type')],
  ['range', new PyFunction('safe_range', makeRange, 'function')],
  [
    'namespace',
    new PyFunction(
      'jinja2.utils.Namespace',
      (runtime, args, kwargs) => new Namespace(makeDict(runtime, args, kwargs)),
      'type',
    ),
  ],
  ['cycler', new PyFunction('jinja2.utils.Cycler', makeCycler, 'type')],
  [
    'joiner',
    new PyFunction(
      'jinja2.utils.Joiner',
      (_runtime, args, kwargs) => makeJoiner(bind(joinerSignature, args, kwargs)),
      'type',
    ),
  ],
  ['lipsum', new PyFunction('lipsum', refuse('lipsum', 'its text differs each time'), 'function')],
  ['raise_exception', new PyFunction('raise_exception', raiseException, 'function')],
  ['strftime_now', new PyFunction('strftime_now', strftimeNow, 'function')],
]);
