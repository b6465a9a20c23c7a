import { at } from '@emloc/checked';

import { toIndex } from './arguments.js';
import { pythonError, typeError } from './errors.js';
import { attributeGetter, filter, type Filter } from './filter.js';
import { stripTags } from './html.js';
import { toCapitalized } from './letters.js';
import { add } from './operators.js';
import { formatPercent } from './percent-format.js';
import { prettyPrint } from './pretty-print.js';
import { codePoints, lengthOf, lineRanges, spaceRun } from './python-text.js';
import { RichText } from './scalars.js';
import { slice } from './slices.js';
import { replaceText, textMethods } from './str-methods.js';
import { strip } from './str-split.js';
import {
  concatTexts,
  escapeText,
  isSafe,
  isText,
  textOf,
  toText,
  unmarkedText,
  type Text,
} from './text-values.js';
import { wrap } from './text-wrap.js';
import { assertText, escape, plainStr, softStr, str, toMarkup } from './texts.js';
import { isTruthy, sizeOf, toIterator, typeNameOf } from './types.js';
import { PyDict, PyTuple, type Kwargs, type PyValue, type Runtime } from './values.js';

/** Calls a method of str on a value that is made a str. */
function callMethod(runtime: Runtime, value: PyValue, name: string, args: PyValue[] = []): PyValue {
  const method = textMethods.get(name);
  if (method === undefined) throw typeError(`str has no ${name}`);
  return method(runtime, softStr(runtime, value), args, null);
}

function changed(
  runtime: Runtime,
  value: PyValue,
  name: string,
  change: (text: string) => string,
): Text {
  const text = softStr(runtime, value);
  const result = change(unmarkedText(text, name));
  runtime.budget.text(result.length);
  return toText(result, isSafe(text));
}

const wordBeginnings = new RegExp(`([-${spaceRun.source.slice(1, -2)}({\\[<]+)`);

function toTitle(text: string): string {
  return text
    .split(wordBeginnings)
    .map((part) => {
      const first = codePoints(part).at(0) ?? '';
      return first.toUpperCase() + part.slice(first.length).toLowerCase();
    })
    .join('');
}

function join(
  runtime: Runtime,
  [value, separator = '', attribute = null]: [PyValue, PyValue?, PyValue?],
): PyValue {
  const getter = attributeGetter(runtime, attribute);
  const next = toIterator(value);
  const items: PyValue[] = [];
  for (let item = next(); item !== undefined; item = next()) {
    runtime.budget.visit();
    items.push(getter(item));
  }
  runtime.budget.items(items.length);
  const escapes = runtime.isAutoescaping && (isSafe(separator) || items.some(isSafe));
  const toPart = (part: PyValue): Text => (escapes ? escape(runtime, part) : str(runtime, part));
  const between = toPart(separator);
  return concatTexts(
    runtime,
    items.flatMap((item, i) => (i === 0 ? [toPart(item)] : [between, toPart(item)])),
    escapes,
  );
}

function replace(
  runtime: Runtime,
  [value, old, by, count = null]: [PyValue, PyValue, PyValue, PyValue?],
): PyValue {
  const limit = count === null ? -1 : toIndex(count);
  if (runtime.isAutoescaping) return replaceEscaped(runtime, value, [old, by, limit]);
  const wanted = plainStr(runtime, old, 'replace');
  const replacement = plainStr(runtime, by, 'replace');
  const text = str(runtime, value);
  if (wanted !== '' && !textOf(text).includes(wanted)) return text;
  return replaceText(runtime, unmarkedText(text, 'replace'), wanted, replacement, limit);
}

function replaceEscaped(
  runtime: Runtime,
  value: PyValue,
  [old, by, limit]: [PyValue, PyValue, number],
): PyValue {
  const isEscaped = isSafe(old) || (isSafe(by) && !isSafe(value));
  const text = isEscaped ? escape(runtime, value) : softStr(runtime, value);
  return callMethod(runtime, text, 'replace', [softStr(runtime, old), softStr(runtime, by), limit]);
}

function indent(
  runtime: Runtime,
  [value, width = 4, first = false, blank = false]: [PyValue, PyValue?, PyValue?, PyValue?],
): PyValue {
  const isMarkup = isSafe(value);
  const filler = isText(width) ? unmarkedText(width, 'indent') : ' '.repeat(toIndex(width));
  const source = assertAddable(runtime, value);
  const lines = lineRanges(`${source}\n`).map(({ start, end }) => `${source}\n`.slice(start, end));
  runtime.budget.text(source.length + lines.length * filler.length);
  const indented = lines.map((line, i) =>
    i > 0 && (line !== '' || isTruthy(blank)) ? filler + line : line,
  );
  const text = (isTruthy(first) ? filler : '') + indented.join('\n');
  return toText(text, isMarkup);
}

/** The filter adds a line end to the value, which only a str takes. */
function assertAddable(runtime: Runtime, value: PyValue): string {
  if (!isText(value)) add(runtime, value, '\n');
  return unmarkedText(assertText(value, 'value'), 'indent');
}

function truncate(
  runtime: Runtime,
  [value, length = 255, killwords = false, end = '...', leeway = null]: [
    PyValue,
    PyValue?,
    PyValue?,
    PyValue?,
    PyValue?,
  ],
): PyValue {
  const limit = toIndex(length);
  const spare = leeway === null ? 5 : toIndex(leeway);
  const ending = assertText(end, 'end');
  const endLength = lengthOf(textOf(ending));
  if (limit < endLength)
    throw pythonError('TemplateRuntimeError', `expected length >= ${endLength}, got ${limit}`);
  if (spare < 0) throw pythonError('TemplateRuntimeError', `expected leeway >= 0, got ${spare}`);
  const size = sizeOf(value);
  if (size === undefined) throw typeError(`object of type '${typeNameOf(value)}' has no len()`);
  if (size <= limit + spare) return value;
  const cut = slice(runtime, value, { start: null, stop: limit - endLength, step: null });
  if (isTruthy(killwords)) return add(runtime, cut, ending);
  if (!isText(cut))
    throw pythonError('AttributeError', `'${typeNameOf(cut)}' object has no attribute 'rsplit'`);
  const words = callMethod(runtime, cut, 'rsplit', [' ', 1]);
  return add(runtime, Array.isArray(words) ? at(words, 0) : '', ending);
}

function wordwrap(
  runtime: Runtime,
  [value, width = 79, breakWords = true, wrapstring = null, onHyphens = true]: [
    PyValue,
    PyValue?,
    PyValue?,
    PyValue?,
    PyValue?,
  ],
): PyValue {
  if (!isText(value))
    throw pythonError(
      'AttributeError',
      `'${typeNameOf(value)}' object has no attribute 'splitlines'`,
    );
  const text = unmarkedText(value, 'wordwrap');
  const between = wrapstring === null ? '\n' : textOf(assertText(wrapstring, 'wrapstring'));
  const options = {
    width: toIndex(width),
    breaksLongWords: isTruthy(breakWords),
    breaksOnHyphens: isTruthy(onHyphens),
  };
  const wrapped = lineRanges(text).map(({ start, end }) =>
    wrap(runtime, text.slice(start, end), options).join(between),
  );
  const result = wrapped.join(between);
  runtime.budget.text(result.length);
  return toText(result, isSafe(wrapstring ?? ''));
}

function wordcount(runtime: Runtime, [value]: [PyValue]): PyValue {
  const text = textOf(softStr(runtime, value));
  return text.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0;
}

function format(runtime: Runtime, args: PyValue[], kwargs: Kwargs): PyValue {
  const [value, ...rest] = args;
  if (value === undefined) throw typeError('missing 1 required positional argument');
  const named = kwargs !== null && kwargs.size > 0;
  if (named && rest.length > 0)
    throw pythonError(
      'TemplateRuntimeError',
      "can't handle positional and keyword arguments at the same time",
    );
  const values = named ? PyDict.fromEntries(kwargs) : new PyTuple(rest);
  return formatPercent(runtime, softStr(runtime, value), values);
}

function forceescape(runtime: Runtime, [value]: [PyValue]): PyValue {
  const text = escapeText(plainStr(runtime, value, 'forceescape'));
  runtime.budget.text(text.length);
  return new RichText(text, true);
}

function safe(runtime: Runtime, [value]: [PyValue]): PyValue {
  return toMarkup(runtime, value);
}

function trim(runtime: Runtime, [value, chars]: [PyValue, PyValue?]): PyValue {
  return strip(softStr(runtime, value), chars, true, true);
}

function lower(runtime: Runtime, [value]: [PyValue]): PyValue {
  return changed(runtime, value, 'lower', (text) => text.toLowerCase());
}

export const textFilters: [string, Filter][] = [
  filter('upper', 's', (runtime, [value]) =>
    changed(runtime, value, 'upper', (text) => text.toUpperCase()),
  ),
  filter('lower', 's', lower),
  filter('capitalize', 's', (runtime, [value]) =>
    changed(runtime, value, 'capitalize', toCapitalized),
  ),
  // The parts are joined to a plain str, also those of Markup.
  filter('title', 's', (runtime, [value]) => textOf(changed(runtime, value, 'title', toTitle))),
  filter('trim', 'value chars?', trim),
  filter('center', 'value width?', (runtime, [value, width = 80]) =>
    callMethod(runtime, value, 'center', [width]),
  ),
  filter('indent', 's width? first? blank?', indent),
  filter('truncate', 's length? killwords? end? leeway?', truncate),
  filter('wordwrap', 's width? break_long_words? wrapstring? break_on_hyphens?', wordwrap),
  filter('wordcount', 's', wordcount),
  ['format', format],
  filter('string', 'object /', (runtime, [value]) => softStr(runtime, value)),
  filter('join', 'value d? attribute?', join),
  filter('replace', 's old new count?', replace),
  filter('safe', 'value', safe),
  filter('escape', 's /', (runtime, [value]) => escape(runtime, value)),
  filter('e', 's /', (runtime, [value]) => escape(runtime, value)),
  filter('forceescape', 'value', forceescape),
  filter('striptags', 'value', (runtime, [value]) => stripTags(runtime, softStr(runtime, value))),
  filter('pprint', 'value', (runtime, [value]) => prettyPrint(runtime, value)),
];
