import { at } from '@emloc/checked';

import { toIndex, toTextArgument } from './arguments.js';
import { valueError } from './errors.js';
import { codePoints, isBmp, isSpaceUnit, stripRange } from './python-text.js';
import { sliceText, textOf, type Text } from './text-values.js';
import { type PyValue, type Runtime } from './values.js';

/** As `strip`, `lstrip` and `rstrip`. */
export function strip(self: Text, chars: PyValue | undefined, left: boolean, right: boolean): Text {
  const text = textOf(self);
  const [start, end] =
    chars === undefined || chars === null
      ? stripRange(text, left, right)
      : stripCharacters(text, textOf(toTextArgument(chars, 'strip')), left, right);
  return start === 0 && end === text.length ? self : sliceText(self, start, end);
}

function stripCharacters(
  text: string,
  chars: string,
  left: boolean,
  right: boolean,
): [number, number] {
  const set = new Set(codePoints(chars));
  const points = isBmp(text) ? text : codePoints(text);
  let first = 0;
  let last = points.length;
  if (left) while (first < last && set.has(at(points, first))) first++;
  if (right) while (last > first && set.has(at(points, last - 1))) last--;
  if (typeof points === 'string') return [first, last];
  const start = points.slice(0, first).join('').length;
  return [start, start + points.slice(first, last).join('').length];
}

interface SplitOptions {
  readonly separator: PyValue | undefined;
  readonly max: PyValue | undefined;
  readonly fromRight: boolean;
}

/** As `split` and `rsplit`. */
export function split(runtime: Runtime, self: Text, options: SplitOptions): PyValue[] {
  const text = textOf(self);
  const max = options.max === undefined ? -1 : toIndex(options.max);
  const limit = max < 0 ? Infinity : max;
  const ranges =
    options.separator === undefined || options.separator === null
      ? splitSpaces(text, limit, options.fromRight)
      : splitAt(text, options.separator, limit, options.fromRight);
  runtime.budget.items(ranges.length);
  return ranges.map(([start, end]) => sliceText(self, start, end));
}

function splitAt(
  text: string,
  separator: PyValue,
  limit: number,
  fromRight: boolean,
): [number, number][] {
  const wanted = textOf(toTextArgument(separator, 'split'));
  if (wanted === '') throw valueError('empty separator');
  return fromRight ? splitRight(text, wanted, limit) : splitLeft(text, wanted, limit);
}

function splitLeft(text: string, wanted: string, limit: number): [number, number][] {
  const ranges: [number, number][] = [];
  let start = 0;
  while (ranges.length < limit) {
    const found = text.indexOf(wanted, start);
    if (found === -1) break;
    ranges.push([start, found]);
    start = found + wanted.length;
  }
  ranges.push([start, text.length]);
  return ranges;
}

function splitRight(text: string, wanted: string, limit: number): [number, number][] {
  const ranges: [number, number][] = [];
  let end = text.length;
  while (ranges.length < limit && end >= wanted.length) {
    const found = text.lastIndexOf(wanted, end - wanted.length);
    if (found === -1) break;
    ranges.push([found + wanted.length, end]);
    end = found;
  }
  ranges.push([0, end]);
  return ranges.reverse();
}

/** What is left over keeps the white space at its outer end. */
function splitSpaces(text: string, limit: number, fromRight: boolean): [number, number][] {
  const words = wordRanges(text);
  if (words.length <= limit) return words;
  if (!fromRight) {
    const rest = at(words, limit)[0];
    return [...words.slice(0, limit), [rest, text.length]];
  }
  const rest = at(words, words.length - limit - 1)[1];
  return [[0, rest], ...words.slice(words.length - limit)];
}

function wordRanges(text: string): [number, number][] {
  const words: [number, number][] = [];
  let start = -1;
  for (let i = 0; i <= text.length; i++) {
    const isWord = i < text.length && !isSpaceUnit(text.charCodeAt(i));
    if (isWord && start === -1) start = i;
    if (!isWord && start !== -1) {
      words.push([start, i]);
      start = -1;
    }
  }
  return words;
}
