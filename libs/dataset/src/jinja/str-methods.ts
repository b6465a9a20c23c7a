import { bind, signature, toIndex, toTextArgument, type Bound } from './arguments.js';
import { pythonError, typeError, valueError } from './errors.js';
import {
  casefold,
  isAlnum,
  isAlpha,
  isDecimal,
  isDigit,
  isIdentifier,
  isLower,
  isNumeric,
  isTitle,
  isUpper,
  swapcase,
  toCapitalized,
  toTitle,
} from './letters.js';
import { codePoints, isSpace, lengthOf, lineRanges } from './python-text.js';
import { isPrintable } from './repr.js';
import { affix, count, find, index } from './str-search.js';
import { split, strip } from './str-split.js';
import {
  concatTexts,
  isSafe,
  isText,
  sliceText,
  textOf,
  toText,
  unmarkedText,
  type Text,
} from './text-values.js';
import { escape } from './texts.js';
import { isTruthy, toIterator, typeNameOf } from './types.js';
import { PyDict, PyTuple, type Kwargs, type PyValue, type Runtime } from './values.js';

type Body<Arguments> = (runtime: Runtime, self: Text, args: Arguments) => PyValue;
type TextMethod = (runtime: Runtime, self: Text, args: PyValue[], kwargs: Kwargs) => PyValue;

function method<Parameters extends string>(
  name: string,
  parameters: Parameters,
  body: Body<Bound<Parameters>>,
): [string, TextMethod] {
  const params = signature(name, parameters);
  return [
    name,
    (runtime, self, args, kwargs) => {
      runtime.budget.work(textOf(self).length);
      return body(runtime, self, bind(params, args, kwargs));
    },
  ];
}

/** A method without arguments that makes another text. */
function change(name: string, body: (text: string) => string): [string, TextMethod] {
  return method(name, '', (runtime, self) => remade(runtime, self, name, body));
}

function remade(runtime: Runtime, self: Text, name: string, body: (text: string) => string): Text {
  const result = body(unmarkedText(self, name));
  runtime.budget.text(result.length);
  return toText(result, isSafe(self));
}

/** Whether all code points are of a class, and there is one. */
function every(name: string, isOfClass: (point: string) => boolean): [string, TextMethod] {
  return method(name, '', (_runtime, self) => {
    const points = codePoints(textOf(self));
    return points.length > 0 && points.every(isOfClass);
  });
}

function join(runtime: Runtime, self: Text, [items]: [PyValue]): PyValue {
  const next = toIterator(items);
  const parts: Text[] = [];
  for (let item = next(); item !== undefined; item = next()) {
    if (parts.length > 0) parts.push(self);
    parts.push(joinable(runtime, self, item, parts.length));
    runtime.budget.visit();
  }
  return concatTexts(runtime, parts, isSafe(self));
}

function joinable(runtime: Runtime, self: Text, item: PyValue, at: number): Text {
  if (isSafe(self)) return escape(runtime, item);
  if (isText(item)) return item;
  throw typeError(
    `sequence item ${Math.ceil(at / 2)}: expected str instance, ${typeNameOf(item)} found`,
  );
}

function replace(
  runtime: Runtime,
  self: Text,
  [old, by, times]: [PyValue, PyValue, PyValue?],
): PyValue {
  const wanted = textOf(toTextArgument(old, 'replace'));
  const given = isSafe(self) ? escape(runtime, by) : toTextArgument(by, 'replace');
  const limit = times === undefined ? -1 : toIndex(times);
  const text = textOf(self);
  if (wanted !== '' && !text.includes(wanted)) return self;
  const replacement = unmarkedText(given, 'replace');
  const result = replaceText(runtime, unmarkedText(self, 'replace'), wanted, replacement, limit);
  return toText(result, isSafe(self));
}

/** `limit` below 0: all. */
export function replaceText(
  runtime: Runtime,
  text: string,
  old: string,
  by: string,
  limit: number,
): string {
  if (limit === 0) return text;
  const pieces = old === '' ? ['', ...codePoints(text), ''] : text.split(old);
  const times = limit < 0 ? pieces.length - 1 : Math.min(limit, pieces.length - 1);
  runtime.budget.text(text.length + times * (by.length - old.length));
  if (times === pieces.length - 1) return pieces.join(by);
  const head = pieces.slice(0, times).map((piece) => piece + by);
  return head.join('') + pieces.slice(times).join(old);
}

function pad(
  name: string,
  toLeft: (missing: number, width: number) => number,
): Body<[PyValue, PyValue?]> {
  return (runtime, self, [width, fill = ' ']) => {
    const wanted = toIndex(width);
    const given = isSafe(self) ? escape(runtime, fill) : toTextArgument(fill, name);
    if (lengthOf(textOf(given)) !== 1)
      throw typeError('The fill character must be exactly one character long');
    const missing = Math.max(0, wanted - lengthOf(textOf(self)));
    runtime.budget.text(missing);
    const left = toLeft(missing, wanted);
    const unit = textOf(given);
    const parts = [unit.repeat(left), self, unit.repeat(missing - left)];
    return concatTexts(runtime, parts, isSafe(self));
  };
}

function zfill(runtime: Runtime, self: Text, [width]: [PyValue]): PyValue {
  const text = unmarkedText(self, 'zfill');
  const missing = Math.max(0, toIndex(width) - lengthOf(text));
  runtime.budget.text(missing);
  const sign = /^[+-]/.test(text) ? 1 : 0;
  return toText(text.slice(0, sign) + '0'.repeat(missing) + text.slice(sign), isSafe(self));
}

function expandtabs(runtime: Runtime, self: Text, [size = 8]: [PyValue?]): PyValue {
  const width = toIndex(size);
  const text = unmarkedText(self, 'expandtabs');
  runtime.budget.text(text.length + (text.split('\t').length - 1) * Math.max(0, width));
  let column = 0;
  const result = text.replace(/[\n\r]|\t|[^\n\r\t]+/g, (part) => {
    if (part === '\n' || part === '\r') column = 0;
    if (part !== '\t') column += part === '\n' || part === '\r' ? 0 : lengthOf(part);
    const spaces = width > 0 ? width - (column % width) : 0;
    if (part === '\t') column += spaces;
    return part === '\t' ? ' '.repeat(spaces) : part;
  });
  return toText(result, isSafe(self));
}

function partition(name: string, isLast: boolean): Body<[PyValue]> {
  return (_runtime, self, [separator]) => {
    const text = textOf(self);
    const wanted = textOf(toTextArgument(separator, name));
    if (wanted === '') throw valueError('empty separator');
    const at = isLast ? text.lastIndexOf(wanted) : text.indexOf(wanted);
    const empty = toText('', isSafe(self));
    if (at === -1) return new PyTuple(isLast ? [empty, empty, self] : [self, empty, empty]);
    const after = at + wanted.length;
    return new PyTuple([
      sliceText(self, 0, at),
      toText(wanted, isSafe(self)),
      sliceText(self, after, text.length),
    ]);
  };
}

function splitlines(runtime: Runtime, self: Text, [keepends = false]: [PyValue?]): PyValue {
  const lines = lineRanges(textOf(self));
  runtime.budget.items(lines.length);
  const keeps = isTruthy(keepends);
  return lines.map(({ start, end, next }) => sliceText(self, start, keeps ? next : end));
}

function removeprefix(_runtime: Runtime, self: Text, [prefix]: [PyValue]): PyValue {
  const wanted = textOf(toTextArgument(prefix, 'removeprefix'));
  const text = textOf(self);
  return text.startsWith(wanted) ? sliceText(self, wanted.length, text.length) : self;
}

function removesuffix(_runtime: Runtime, self: Text, [suffix]: [PyValue]): PyValue {
  const wanted = textOf(toTextArgument(suffix, 'removesuffix'));
  const text = textOf(self);
  return text.endsWith(wanted) ? sliceText(self, 0, text.length - wanted.length) : self;
}

function translate(runtime: Runtime, self: Text, [table]: [PyValue]): PyValue {
  if (!(table instanceof PyDict)) throw typeError('translate() takes a dict here');
  return remade(runtime, self, 'translate', (text) =>
    codePoints(text)
      .map((point) => translated(table.get(point.codePointAt(0) ?? 0), point))
      .join(''),
  );
}

function translated(value: PyValue | undefined, point: string): string {
  if (value === undefined) return point;
  if (value === null) return '';
  if (isText(value)) return textOf(value);
  const code = toIndex(value);
  if (code < 0 || code > 0x10ffff)
    throw pythonError('ValueError', 'character mapping must be in range(0x110000)');
  return String.fromCodePoint(code);
}

/** Methods of str; `format` and `format_map` are apart. */
export const textMethods: ReadonlyMap<string, TextMethod> = new Map([
  method('strip', 'chars? /', (_runtime, self, [chars]) => strip(self, chars, true, true)),
  method('lstrip', 'chars? /', (_runtime, self, [chars]) => strip(self, chars, true, false)),
  method('rstrip', 'chars? /', (_runtime, self, [chars]) => strip(self, chars, false, true)),
  method('split', 'sep? maxsplit?', (runtime, self, [sep, max]) =>
    split(runtime, self, { separator: sep, max, fromRight: false }),
  ),
  method('rsplit', 'sep? maxsplit?', (runtime, self, [sep, max]) =>
    split(runtime, self, { separator: sep, max, fromRight: true }),
  ),
  method('splitlines', 'keepends?', splitlines),
  method('join', 'iterable /', join),
  method('replace', 'old new count? /', replace),
  method('find', 'sub start? end? /', find('find', false)),
  method('rfind', 'sub start? end? /', find('rfind', true)),
  method('index', 'sub start? end? /', index('index', false)),
  method('rindex', 'sub start? end? /', index('rindex', true)),
  method('count', 'sub start? end? /', count),
  method(
    'startswith',
    'prefix start? end? /',
    affix('startswith', (text, prefix) => text.startsWith(prefix)),
  ),
  method(
    'endswith',
    'suffix start? end? /',
    affix('endswith', (text, suffix) => text.endsWith(suffix)),
  ),
  method('partition', 'sep /', partition('partition', false)),
  method('rpartition', 'sep /', partition('rpartition', true)),
  method('removeprefix', 'prefix /', removeprefix),
  method('removesuffix', 'suffix /', removesuffix),
  method(
    'ljust',
    'width fillchar? /',
    pad('ljust', () => 0),
  ),
  method(
    'rjust',
    'width fillchar? /',
    pad('rjust', (missing) => missing),
  ),
  method(
    'center',
    'width fillchar? /',
    pad('center', (missing, width) => Math.floor(missing / 2) + (missing & width & 1)),
  ),
  method('zfill', 'width /', zfill),
  method('expandtabs', 'tabsize?', expandtabs),
  method('translate', 'table /', translate),
  change('upper', (text) => text.toUpperCase()),
  change('lower', (text) => text.toLowerCase()),
  change('title', toTitle),
  change('capitalize', toCapitalized),
  change('swapcase', swapcase),
  change('casefold', casefold),
  every('isalpha', isAlpha),
  every('isdigit', isDigit),
  every('isdecimal', isDecimal),
  every('isnumeric', isNumeric),
  every('isalnum', isAlnum),
  method('isspace', '', (_runtime, self) => isSpace(textOf(self))),
  method('isupper', '', (_runtime, self) => isUpper(textOf(self))),
  method('islower', '', (_runtime, self) => isLower(textOf(self))),
  method('istitle', '', (_runtime, self) => isTitle(textOf(self))),
  method('isidentifier', '', (_runtime, self) => isIdentifier(textOf(self))),
  method('isascii', '', (_runtime, self) => !/[^\0-\x7f]/.test(textOf(self))),
  method('isprintable', '', (_runtime, self) => Array.from(textOf(self)).every(isPrintable)),
]);
