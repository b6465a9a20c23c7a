import { pythonError, typeError, type PythonException } from './errors.js';
import { attributeGetter, type Filter } from './filter.js';
import { Undefined } from './scalars.js';
import { tests } from './tests.js';
import { isText, textOf } from './text-values.js';
import { isTruthy, toIterator } from './types.js';
import { PyIterator, toKey, type Kwargs, type PyValue, type Runtime } from './values.js';

const ARGUMENT_ERROR: PythonException = 'TemplateRuntimeError';

function named<T>(kind: 'filter' | 'test', table: ReadonlyMap<string, T>, name: PyValue): T {
  toKey(name);
  const found = isText(name) ? table.get(textOf(name)) : undefined;
  if (found === undefined) throw missing(kind, name);
  return found;
}

function missing(kind: string, name: PyValue): Error {
  const shown = isText(name) ? `'${textOf(name)}'` : 'None';
  const hint =
    name instanceof Undefined
      ? ` (${name.message}; did you forget to quote the callable name?)`
      : '';
  return pythonError('TemplateRuntimeError', `No ${kind} named ${shown}.${hint}`);
}

/** Items are read as they are asked for. */
function lazily(
  runtime: Runtime,
  source: PyValue,
  start: () => (item: PyValue) => PyValue | undefined,
): PyIterator {
  let next: (() => PyValue | undefined) | undefined;
  let change: ((item: PyValue) => PyValue | undefined) | undefined;
  const advance = (): PyValue | undefined => {
    if (next === undefined || change === undefined) {
      if (!isTruthy(source)) return undefined;
      change = start();
      next = toIterator(source);
    }
    for (let item = next(); item !== undefined; item = next()) {
      runtime.budget.visit();
      const changed = change(item);
      if (changed !== undefined) return changed;
    }
    return undefined;
  };
  return new PyIterator('generator', advance, source);
}

/** `table`: the filters that can be mapped. */
function map(table: () => ReadonlyMap<string, Filter>): Filter {
  return withValue((runtime, value, args, kwargs) =>
    lazily(runtime, value, () => toMapper(runtime, table(), args, kwargs)),
  );
}

function toMapper(
  runtime: Runtime,
  table: ReadonlyMap<string, Filter>,
  args: PyValue[],
  kwargs: Kwargs,
): (item: PyValue) => PyValue {
  const attribute = kwargs?.get('attribute');
  const [name, ...rest] = args;
  if (name === undefined && attribute !== undefined) {
    const others = [...(kwargs?.keys() ?? [])].find(
      (key) => key !== 'attribute' && key !== 'default',
    );
    if (others !== undefined)
      throw pythonError(ARGUMENT_ERROR, `Unexpected keyword argument '${others}'`);
    return attributeGetter(runtime, attribute, { fallback: kwargs?.get('default') ?? null });
  }
  if (name === undefined) throw pythonError(ARGUMENT_ERROR, 'map requires a filter argument');
  const filter = named('filter', table, name);
  return (item) => filter(runtime, [item, ...rest], kwargs);
}

function selection(keeps: boolean, byAttribute: boolean): Filter {
  return withValue((runtime, value, args, kwargs) =>
    lazily(runtime, value, () => {
      const holds = toPredicate(runtime, args, kwargs, byAttribute);
      return (item) => (holds(item) === keeps ? item : undefined);
    }),
  );
}

function toPredicate(
  runtime: Runtime,
  args: PyValue[],
  kwargs: Kwargs,
  byAttribute: boolean,
): (item: PyValue) => boolean {
  const [attribute] = args;
  if (byAttribute && attribute === undefined)
    throw pythonError(ARGUMENT_ERROR, 'Missing parameter for attribute name');
  const read =
    byAttribute && attribute !== undefined
      ? attributeGetter(runtime, attribute)
      : (item: PyValue): PyValue => item;
  const [name, ...rest] = byAttribute ? args.slice(1) : args;
  if (name === undefined) return (item) => isTruthy(read(item));
  const test = named('test', tests, name);
  return (item) => test(runtime, [read(item), ...rest], kwargs);
}

function withValue(
  filter: (runtime: Runtime, value: PyValue, args: PyValue[], kwargs: Kwargs) => PyValue,
): Filter {
  return (runtime, [value, ...args], kwargs) => {
    if (value === undefined) throw typeError('missing 1 required positional argument');
    return filter(runtime, value, args, kwargs);
  };
}

/** `table`: all filters, which `map` finds by name. */
export function selectionFilters(table: () => ReadonlyMap<string, Filter>): [string, Filter][] {
  return [
    ['map', map(table)],
    ['select', selection(true, false)],
    ['reject', selection(false, false)],
    ['selectattr', selection(true, true)],
    ['rejectattr', selection(false, true)],
  ];
}
