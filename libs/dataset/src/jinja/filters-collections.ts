import { at } from '@emloc/checked';

import { toIndex } from './arguments.js';
import { findAttribute, getAttribute } from './attributes.js';
import { isEqual, isOrdered, sortBy } from './equality.js';
import { pythonError, typeError } from './errors.js';
import { attributeGetter, filter, ignoreCase, toItems, type Filter } from './filter.js';
import { add } from './operators.js';
import { Undefined } from './scalars.js';
import { isSafe, isText, textOf, toText, type Text } from './text-values.js';
import { isIterable, isTruthy, sizeOf, toIterator, toReversed, typeNameOf } from './types.js';
import {
  DictView,
  PyDict,
  PyIterator,
  PyTuple,
  toKey,
  type PyValue,
  type Runtime,
} from './values.js';

function length(_runtime: Runtime, [value]: [PyValue]): PyValue {
  const size = sizeOf(value);
  if (size === undefined) throw typeError(`object of type '${typeNameOf(value)}' has no len()`);
  return size;
}

function first(_runtime: Runtime, [value]: [PyValue]): PyValue {
  const item = toIterator(value)();
  return item === undefined ? new Undefined('No first item, sequence was empty.') : item;
}

function last(_runtime: Runtime, [value]: [PyValue]): PyValue {
  if (value instanceof Undefined) return new Undefined('No last item, sequence was empty.');
  if (isText(value)) return lastOfText(value);
  const items = Array.isArray(value) ? value : (toReversed(value)?.slice(0, 1) ?? undefined);
  if (items === undefined) throw typeError(`'${typeNameOf(value)}' object is not reversible`);
  const item = items.at(-1);
  return item === undefined ? new Undefined('No last item, sequence was empty.') : item;
}

function lastOfText(value: Text): PyValue {
  const text = textOf(value);
  if (text === '') return new Undefined('No last item, sequence was empty.');
  const unit = Array.from(text.slice(-2)).at(-1) ?? '';
  return toText(unit, isSafe(value));
}

function reverse(runtime: Runtime, [value]: [PyValue]): PyValue {
  if (isText(value)) {
    runtime.budget.text(textOf(value).length);
    const text = Array.from(textOf(value)).reverse().join('');
    return toText(text, isSafe(value));
  }
  const items = toReversed(value);
  if (items !== undefined) {
    runtime.budget.items(items.length);
    return new PyIterator('list_reverseiterator', toIterator([...items]), [...items]);
  }
  if (!isIterable(value)) throw pythonError('TemplateRuntimeError', 'argument must be iterable');
  return toItems(runtime, value).reverse();
}

function items(_runtime: Runtime, [value]: [PyValue]): PyValue {
  const next = value instanceof PyDict ? toIterator(new DictView('items', value)) : undefined;
  return new PyIterator(
    'generator',
    () => {
      if (next !== undefined) return next();
      if (value instanceof Undefined) return undefined;
      throw typeError('Can only get item pairs from a mapping.');
    },
    value,
  );
}

function dictsort(
  runtime: Runtime,
  [value, caseSensitive = false, by = 'key', reversed = false]: [
    PyValue,
    PyValue?,
    PyValue?,
    PyValue?,
  ],
): PyValue {
  const place = isText(by) ? ['key', 'value'].indexOf(textOf(by)) : -1;
  if (place === -1)
    throw pythonError('TemplateRuntimeError', 'You can only sort by either "key" or "value"');
  if (!(value instanceof PyDict))
    throw pythonError('AttributeError', `'${typeNameOf(value)}' object has no attribute 'items'`);
  const pairs = [...value.entries()].map((entry) => new PyTuple(entry));
  const key = (pair: PyTuple): PyValue => {
    const part = at(pair.items, place);
    return isTruthy(caseSensitive) ? part : ignoreCase(part);
  };
  return sortBy(runtime, pairs, key, isTruthy(reversed));
}

/** Several attributes, with commas between. */
function multiGetter(
  runtime: Runtime,
  attribute: PyValue,
  ignoresCase: boolean,
): (item: PyValue) => PyValue {
  const names = isText(attribute) ? textOf(attribute).split(',') : [attribute];
  const getters = names.map((name) => attributeGetter(runtime, name, { ignoresCase }));
  return (item) => getters.map((getter) => getter(item));
}

function sort(
  runtime: Runtime,
  [value, reversed = false, caseSensitive = false, attribute = null]: [
    PyValue,
    PyValue?,
    PyValue?,
    PyValue?,
  ],
): PyValue {
  const key = multiGetter(runtime, attribute, !isTruthy(caseSensitive));
  return sortBy(runtime, toItems(runtime, value), key, isTruthy(reversed));
}

function unique(
  runtime: Runtime,
  [value, caseSensitive = false, attribute = null]: [PyValue, PyValue?, PyValue?],
): PyValue {
  const getter = attributeGetter(runtime, attribute, { ignoresCase: !isTruthy(caseSensitive) });
  const seen = new Set<unknown>();
  let next: (() => PyValue | undefined) | undefined;
  const advance = (): PyValue | undefined => {
    next ??= toIterator(value);
    for (let item = next(); item !== undefined; item = next()) {
      runtime.budget.visit();
      const key = toKey(getter(item));
      if (seen.has(key)) continue;
      runtime.budget.entries(1);
      seen.add(key);
      return item;
    }
    return undefined;
  };
  return new PyIterator('generator', advance, value);
}

function extreme(
  order: '<' | '>',
): (runtime: Runtime, args: [PyValue, PyValue?, PyValue?]) => PyValue {
  return (runtime, [value, caseSensitive = false, attribute = null]) => {
    const key = attributeGetter(runtime, attribute, { ignoresCase: !isTruthy(caseSensitive) });
    const next = toIterator(value);
    let best = next();
    if (best === undefined) return new Undefined('No aggregated item, sequence was empty.');
    let bestKey = key(best);
    for (let item = next(); item !== undefined; item = next()) {
      runtime.budget.visit();
      const itemKey = key(item);
      if (!isOrdered(runtime, order, itemKey, bestKey)) continue;
      best = item;
      bestKey = itemKey;
    }
    return best;
  };
}

function sum(
  runtime: Runtime,
  [value, attribute = null, start = 0]: [PyValue, PyValue?, PyValue?],
): PyValue {
  const getter = attributeGetter(runtime, attribute);
  const next = toIterator(value);
  if (isText(start)) throw typeError("sum() can't sum strings [use ''.join(seq) instead]");
  let total: PyValue = start;
  for (let item = next(); item !== undefined; item = next()) {
    runtime.budget.visit();
    total = add(runtime, total, getter(item));
  }
  return total;
}

function groupby(
  runtime: Runtime,
  [value, attribute, fallback = null, caseSensitive = false]: [
    PyValue,
    PyValue,
    PyValue?,
    PyValue?,
  ],
): PyValue {
  const ignoresCase = !isTruthy(caseSensitive);
  const key = attributeGetter(runtime, attribute, { ignoresCase, fallback });
  const shown = attributeGetter(runtime, attribute, { fallback });
  const groups: { key: PyValue; first: PyValue; items: PyValue[] }[] = [];
  for (const item of sortBy(runtime, toItems(runtime, value), key, false)) {
    const group = groups.at(-1);
    const itemKey = key(item);
    if (group !== undefined && isEqual(runtime, group.key, itemKey)) group.items.push(item);
    else groups.push({ key: itemKey, first: item, items: [item] });
  }
  return groups.map(
    (group) =>
      new PyTuple([ignoresCase ? shown(group.first) : group.key, group.items], ['grouper', 'list']),
  );
}

function batch(
  runtime: Runtime,
  [value, count, fill = null]: [PyValue, PyValue, PyValue?],
): PyValue {
  let next: (() => PyValue | undefined) | undefined;
  let waiting: PyValue | undefined;
  const advance = (): PyValue | undefined => {
    next ??= toIterator(value);
    const tmp: PyValue[] = waiting === undefined ? [] : [waiting];
    waiting = undefined;
    for (let item = next(); item !== undefined; item = next()) {
      runtime.budget.visit();
      if (isEqual(runtime, tmp.length, count)) {
        waiting = item;
        return tmp;
      }
      tmp.push(item);
    }
    if (tmp.length > 0 && fill !== null && isOrdered(runtime, '<', tmp.length, count))
      fillUp(runtime, tmp, toIndex(count), fill);
    return tmp.length > 0 ? tmp : undefined;
  };
  return new PyIterator('generator', advance, value);
}

function fillUp(runtime: Runtime, items: PyValue[], length: number, fill: PyValue): void {
  runtime.budget.items(length);
  while (items.length < length) items.push(fill);
}

function slices(
  runtime: Runtime,
  [value, count, fill = null]: [PyValue, PyValue, PyValue?],
): PyValue {
  let parts: PyValue[][] | undefined;
  let place = 0;
  const advance = (): PyValue | undefined => {
    parts ??= sliceItems(toItems(runtime, value), toIndex(count), fill);
    return parts[place++];
  };
  return new PyIterator('generator', advance, value);
}

function sliceItems(all: PyValue[], count: number, fill: PyValue): PyValue[][] {
  if (count === 0) throw pythonError('ZeroDivisionError', 'integer division or modulo by zero');
  const size = Math.floor(all.length / count);
  const longer = all.length - size * count;
  const parts: PyValue[][] = [];
  for (let i = 0, start = 0; i < count; i++) {
    const part = all.slice(start, start + size + (i < longer ? 1 : 0));
    start += part.length;
    if (fill !== null && i >= longer) part.push(fill);
    parts.push(part);
  }
  return parts;
}

function attr(runtime: Runtime, [value, name]: [PyValue, PyValue]): PyValue {
  if (!isText(name)) throw typeError('attribute name must be string');
  if (value instanceof Undefined) throw pythonError(value.exception, value.message);
  const wanted = textOf(name);
  if (findAttribute(runtime, value, wanted) === undefined)
    return new Undefined(`'${typeNameOf(value)} object' has no attribute '${wanted}'`);
  return getAttribute(runtime, value, wanted);
}

export const collectionFilters: [string, Filter][] = [
  filter('length', 'obj /', length),
  filter('count', 'obj /', length),
  filter('first', 'seq', first),
  filter('last', 'seq', last),
  filter('reverse', 'value', reverse),
  filter('list', 'value', (runtime, [value]) => toItems(runtime, value)),
  filter('items', 'value', items),
  filter('dictsort', 'value case_sensitive? by? reverse?', dictsort),
  filter('sort', 'value reverse? case_sensitive? attribute?', sort),
  filter('unique', 'value case_sensitive? attribute?', unique),
  filter('min', 'value case_sensitive? attribute?', extreme('<')),
  filter('max', 'value case_sensitive? attribute?', extreme('>')),
  filter('sum', 'iterable attribute? start?', sum),
  filter('groupby', 'value attribute default? case_sensitive?', groupby),
  filter('batch', 'value linecount fill_with?', batch),
  filter('slice', 'value slices fill_with?', slices),
  filter('attr', 'obj name', attr),
  filter('default', 'value default_value? boolean?', useDefault),
  filter('d', 'value default_value? boolean?', useDefault),
  filter('random', 'seq', () => {
    throw pythonError(
      'TemplateRuntimeError',
      'random is not supported: its result differs each time',
    );
  }),
];

function useDefault(
  _runtime: Runtime,
  [value, fallback = '', boolean = false]: [PyValue, PyValue?, PyValue?],
): PyValue {
  const isMissing = value instanceof Undefined || (isTruthy(boolean) && !isTruthy(value));
  return isMissing ? fallback : value;
}
