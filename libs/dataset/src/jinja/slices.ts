import { at } from '@emloc/checked';

import { pythonError, typeError, valueError } from './errors.js';
import { isInt, toInt } from './numbers.js';
import { codePoints, lengthOf, offsetOf } from './python-text.js';
import { Undefined } from './scalars.js';
import {
  isSafe,
  isText,
  sliceText,
  textOf,
  toText,
  unmarkedText,
  type Text,
} from './text-values.js';
import { failUndefined, typeNameOf } from './types.js';
import { PyRange, PyTuple, type PyValue, type Runtime } from './values.js';

interface Bounds {
  readonly start: PyValue;
  readonly stop: PyValue;
  readonly step: PyValue;
}

/** First index, step and count of what a slice takes. */
interface Selection {
  readonly first: number;
  readonly step: number;
  readonly count: number;
}

/** As `value[start:stop:step]`. */
export function slice(runtime: Runtime, value: PyValue, bounds: Bounds): PyValue {
  if (value instanceof Undefined) return failUndefined(value);
  if (isText(value)) return sliceOfText(runtime, value, bounds);
  if (Array.isArray(value)) return pick(runtime, value, bounds);
  if (value instanceof PyTuple) return new PyTuple(pick(runtime, value.items, bounds));
  if (value instanceof PyRange) {
    const { first, step, count } = select(bounds, value.length);
    const start = value.at(first);
    return new PyRange(start, start + count * step * value.step, step * value.step);
  }
  if (typeNameOf(value) === 'dict') throw typeError("unhashable type: 'slice'");
  throw typeError(`'${typeNameOf(value)}' object is not subscriptable`);
}

function select({ start, stop, step }: Bounds, length: number): Selection {
  const by = step === null ? 1 : toBound(step);
  if (by === 0) throw valueError('slice step cannot be zero');
  const lowest = by > 0 ? 0 : -1;
  const highest = by > 0 ? length : length - 1;
  const clamp = (bound: number): number =>
    Math.min(highest, Math.max(lowest, bound < 0 ? bound + length : bound));
  const first = start === null ? (by > 0 ? lowest : highest) : clamp(toBound(start));
  const last = stop === null ? (by > 0 ? highest : lowest) : clamp(toBound(stop));
  return { first, step: by, count: Math.max(0, Math.ceil((last - first) / by)) };
}

function toBound(value: PyValue): number {
  if (isInt(value)) return Number(toInt(value));
  if (value instanceof Undefined) throw pythonError('TypeError', boundMessage);
  throw typeError(boundMessage);
}

const boundMessage = 'slice indices must be integers or None or have an __index__ method';

function pick(runtime: Runtime, items: readonly PyValue[], bounds: Bounds): PyValue[] {
  const { first, step, count } = select(bounds, items.length);
  runtime.budget.items(count);
  if (step === 1) return items.slice(first, first + count);
  return Array.from({ length: count }, (_, i) => at(items, first + i * step));
}

function sliceOfText(runtime: Runtime, value: Text, bounds: Bounds): Text {
  const text = textOf(value);
  const { first, step, count } = select(bounds, lengthOf(text));
  if (step === 1) {
    const start = offsetOf(text, first);
    return sliceText(value, start, offsetOf(text, first + count));
  }
  runtime.budget.text(count);
  const points = codePoints(unmarkedText(value, 'a slice with a step'));
  const picked = Array.from({ length: count }, (_, i) => at(points, first + i * step));
  return toText(picked.join(''), isSafe(value));
}
