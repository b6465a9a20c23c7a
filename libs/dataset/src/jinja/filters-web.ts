import { toIndex } from './arguments.js';
import { pythonError, typeError, valueError } from './errors.js';
import { filter, type Filter } from './filter.js';
import { quoteUrl } from './html.js';
import { writeJson } from './json-write.js';
import { Undefined } from './scalars.js';
import { isText, textOf, toText, unmarkedText } from './text-values.js';
import { escape, plainStr, softStr, str } from './texts.js';
import { isIterable, isTruthy, toIterator, typeNameOf } from './types.js';
import { urlize } from './urlize.js';
import { PyDict, PyTuple, type PyValue, type Runtime } from './values.js';

function tojson(
  runtime: Runtime,
  [value, ensureAscii = false, indent = null, separators = null, sortKeys = false]: [
    PyValue,
    PyValue?,
    PyValue?,
    PyValue?,
    PyValue?,
  ],
): PyValue {
  const [item, key] = separators === null ? [] : toSeparators(separators);
  return writeJson(runtime, value, {
    ensureAscii: isTruthy(ensureAscii),
    indent: indent === null ? undefined : toIndent(runtime, indent),
    itemSeparator: item ?? (indent === null ? ', ' : ','),
    keySeparator: key ?? ': ',
    sortKeys: isTruthy(sortKeys),
  });
}

function toIndent(runtime: Runtime, indent: PyValue): string {
  if (isText(indent)) return unmarkedText(indent, 'tojson');
  const width = Math.max(0, toIndex(indent));
  runtime.budget.text(width);
  return ' '.repeat(width);
}

function toSeparators(separators: PyValue): [string, string] {
  const next = toIterator(separators);
  const [item, key, more] = [next(), next(), next()];
  if (item === undefined || key === undefined || more !== undefined)
    throw valueError('separators must be a pair');
  if (!isText(item) || !isText(key)) throw typeError('separators must be str');
  return [textOf(item), textOf(key)];
}

function urlencode(runtime: Runtime, [value]: [PyValue]): PyValue {
  const quote = (part: PyValue, isQuery: boolean): string => {
    const quoted = quoteUrl(plainStr(runtime, part, 'urlencode'), isQuery);
    runtime.budget.text(quoted.length);
    return quoted;
  };
  if (isText(value) || !isIterable(value)) return quote(value, false);
  const pairs =
    value instanceof PyDict
      ? [...value.entries()].map((entry): PyValue => new PyTuple(entry))
      : value;
  const parts: string[] = [];
  const next = toIterator(pairs);
  for (let pair = next(); pair !== undefined; pair = next()) {
    runtime.budget.visit();
    const [key, item] = toPair(pair);
    parts.push(`${quote(key, true)}=${quote(item, true)}`);
  }
  return parts.join('&');
}

function toPair(pair: PyValue): [PyValue, PyValue] {
  const next = toIterator(pair);
  const [key, value, more] = [next(), next(), next()];
  if (key === undefined || value === undefined || more !== undefined)
    throw valueError('not enough or too many values to unpack (expected 2)');
  return [key, value];
}

function xmlattr(runtime: Runtime, [value, autospace = true]: [PyValue, PyValue?]): PyValue {
  if (!(value instanceof PyDict))
    throw pythonError('AttributeError', `'${typeNameOf(value)}' object has no attribute 'items'`);
  const parts: string[] = [];
  for (const [key, item] of value.entries()) {
    if (item === null || item instanceof Undefined) continue;
    if (!isText(key)) throw typeError(`expected string, got '${typeNameOf(key)}'`);
    if (/[ \t\n\r\f\v/>=]/.test(textOf(key)))
      throw valueError(`Invalid character in attribute name: '${textOf(key)}'`);
    parts.push(`${escape(runtime, key).text}="${escape(runtime, item).text}"`);
  }
  const text = parts.join(' ');
  runtime.budget.text(text.length);
  return toText(isTruthy(autospace) && text !== '' ? ` ${text}` : text, runtime.isAutoescaping);
}

function urlizeText(
  runtime: Runtime,
  [value, limit = null, nofollow = false, target = null, rel = null, schemes = null]: [
    PyValue,
    PyValue?,
    PyValue?,
    PyValue?,
    PyValue?,
    PyValue?,
  ],
): PyValue {
  const words = rel === null ? [] : textOf(softStr(runtime, rel)).split(/\s+/);
  const parts = new Set([...words, 'noopener', ...(isTruthy(nofollow) ? ['nofollow'] : [])]);
  parts.delete('');
  const text = urlize(escape(runtime, value).text, {
    limit: limit === null ? undefined : toIndex(limit),
    rel: [...parts].sort().join(' '),
    target: target === null ? '' : textOf(str(runtime, target)),
    schemes: toSchemes(schemes),
  });
  runtime.budget.text(text.length);
  return toText(text, runtime.isAutoescaping);
}

function toSchemes(schemes: PyValue): string[] {
  if (schemes === null) return [];
  const found: string[] = [];
  const next = toIterator(schemes);
  for (let item = next(); item !== undefined; item = next()) {
    const scheme = isText(item) ? textOf(item) : '';
    if (!/^[\p{L}\p{N}_.+-]{2,}:\/{0,2}$/u.test(scheme))
      throw pythonError('TemplateRuntimeError', `'${scheme}' is not a valid URI scheme prefix.`);
    found.push(scheme);
  }
  return found;
}

export const webFilters: [string, Filter][] = [
  filter('tojson', 'x ensure_ascii? indent? separators? sort_keys?', tojson),
  filter('urlencode', 'value', urlencode),
  filter('xmlattr', 'd autospace?', xmlattr),
  filter('urlize', 'value trim_url_limit? nofollow? target? rel? extra_schemes?', urlizeText),
];
