import { bind, signature, type Bound } from './arguments.js';
import { getItem } from './attributes.js';
import { Undefined } from './scalars.js';
import { isSafe, isText, marksOf, textOf, toText } from './text-values.js';
import { toIterator } from './types.js';
import { type Kwargs, type PyValue, type Runtime } from './values.js';

/** The value is the first of the arguments. */
export type Filter = (runtime: Runtime, args: PyValue[], kwargs: Kwargs) => PyValue;

export function filter<Parameters extends string>(
  name: string,
  parameters: Parameters,
  body: (runtime: Runtime, args: Bound<Parameters>) => PyValue,
): [string, Filter] {
  const params = signature(name, parameters);
  return [
    name,
    (runtime, args, kwargs) => {
      const [value] = args;
      if (typeof value === 'string') runtime.budget.work(value.length);
      return body(runtime, bind(params, args, kwargs));
    },
  ];
}

/** All items, counted. */
export function toItems(runtime: Runtime, value: PyValue): PyValue[] {
  const next = toIterator(value);
  const items: PyValue[] = [];
  for (let item = next(); item !== undefined; item = next()) {
    runtime.budget.visit();
    items.push(item);
  }
  runtime.budget.items(items.length);
  return items;
}

/** As `ignore_case`. */
export function ignoreCase(value: PyValue): PyValue {
  if (!isText(value)) return value;
  return toText(textOf(value).toLowerCase(), isSafe(value), marksOf(value));
}

type Getter = (item: PyValue) => PyValue;

/** Reads an attribute by its path: names and numbers with dots between. */
export function attributeGetter(
  runtime: Runtime,
  attribute: PyValue,
  options: { ignoresCase?: boolean; fallback?: PyValue } = {},
): Getter {
  const parts = attributeParts(attribute);
  const { fallback = null } = options;
  return (item) => {
    let value = item;
    for (const part of parts) {
      value = getItem(runtime, value, part);
      if (fallback !== null && value instanceof Undefined) value = fallback;
    }
    return options.ignoresCase === true ? ignoreCase(value) : value;
  };
}

function attributeParts(attribute: PyValue): PyValue[] {
  if (attribute === null) return [];
  if (!isText(attribute)) return [attribute];
  return textOf(attribute)
    .split('.')
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}
