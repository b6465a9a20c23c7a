import { toIndex, toTextArgument } from './arguments.js';
import { typeError, valueError } from './errors.js';
import { indexOfOffset, lengthOf, offsetOf } from './python-text.js';
import { isText, textOf, type Text } from './text-values.js';
import { typeNameOf } from './types.js';
import { PyTuple, type PyValue, type Runtime } from './values.js';

/** Something to look for, and where. */
type Sought = [wanted: PyValue, start?: PyValue, stop?: PyValue];
type Search = (runtime: Runtime, self: Text, args: Sought) => PyValue;

/** Offsets of `[start:stop]`, in UTF-16 units; undefined where start is beyond the end. */
function window(text: string, start?: PyValue, stop?: PyValue): [number, number] | undefined {
  const from = start === undefined || start === null ? 0 : toIndex(start);
  const to = stop === undefined || stop === null ? Infinity : toIndex(stop);
  if (from === 0 && to === Infinity) return [0, text.length];
  const length = lengthOf(text);
  const first = from < 0 ? Math.max(0, from + length) : from;
  const last = Math.min(length, to < 0 ? Math.max(0, to + length) : to);
  if (first > length || first > last) return undefined;
  return [offsetOf(text, first), offsetOf(text, last)];
}

/** As `find` and `rfind`. */
export function find(name: string, isLast: boolean): Search {
  return (_runtime, self, [sub, start, stop]) => {
    const text = textOf(self);
    const wanted = textOf(toTextArgument(sub, name));
    const range = window(text, start, stop);
    if (range === undefined) return -1;
    const within = text.slice(...range);
    const at = isLast ? within.lastIndexOf(wanted) : within.indexOf(wanted);
    return at === -1 ? -1 : indexOfOffset(text, range[0] + at);
  };
}

/** As `index` and `rindex`. */
export function index(name: string, isLast: boolean): Search {
  const search = find(name, isLast);
  return (runtime, self, args) => {
    const found = search(runtime, self, args);
    if (found === -1) throw valueError('substring not found');
    return found;
  };
}

/** As `count`. */
export function count(_runtime: Runtime, self: Text, [sub, start, stop]: Sought): PyValue {
  const text = textOf(self);
  const wanted = textOf(toTextArgument(sub, 'count'));
  const range = window(text, start, stop);
  if (range === undefined) return 0;
  const within = text.slice(...range);
  return wanted === '' ? lengthOf(within) + 1 : within.split(wanted).length - 1;
}

/** As `startswith` and `endswith`. */
export function affix(name: string, matches: (text: string, affix: string) => boolean): Search {
  return (_runtime, self, [wanted, start, stop]) => {
    const text = textOf(self);
    const range = window(text, start, stop);
    const options = wanted instanceof PyTuple ? wanted.items : [wanted];
    const texts = options.map((option) => affixText(name, option));
    return range !== undefined && texts.some((option) => matches(text.slice(...range), option));
  };
}

function affixText(name: string, value: PyValue): string {
  if (isText(value)) return textOf(value);
  throw typeError(`${name} first arg must be str or a tuple of str, not ${typeNameOf(value)}`);
}
