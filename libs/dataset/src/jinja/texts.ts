import { typeError } from './errors.js';
import { repr } from './repr.js';
import { RichText, Undefined } from './scalars.js';
import {
  escapeText,
  isText,
  marksOf,
  textOf,
  toText,
  unmarkedText,
  type Text,
} from './text-values.js';
import { typeNameOf } from './types.js';
import { type PyValue, type Runtime } from './values.js';

/** As `str(x)`; marks stay, Markup becomes a plain str. */
export function str(runtime: Runtime, value: PyValue): Text {
  if (typeof value === 'string') return value;
  if (value instanceof RichText) return value.safe ? toText(value.text, false, value.marks) : value;
  return strOfObject(runtime, value);
}

/** As `soft_str`: also Markup stays. */
export function softStr(runtime: Runtime, value: PyValue): Text {
  return isText(value) ? value : strOfObject(runtime, value);
}

/** As `str(x)` where marks would be lost. */
export function plainStr(runtime: Runtime, value: PyValue, operation: string): string {
  return isText(value) ? unmarkedText(value, operation) : strOfObject(runtime, value);
}

function strOfObject(runtime: Runtime, value: Exclude<PyValue, Text>): string {
  return value instanceof Undefined ? '' : repr(runtime, value);
}

/** As markupsafe's `escape`. */
export function escape(runtime: Runtime, value: PyValue): RichText {
  if (value instanceof RichText && value.safe) return value;
  const text = str(runtime, value);
  const plain = textOf(text);
  const escaped = escapeText(plain);
  runtime.budget.text(escaped.length);
  if (escaped.length === plain.length) return new RichText(plain, true, marksOf(text));
  return new RichText(escapeText(unmarkedText(text, 'escape')), true);
}

/** As `Markup(x)`. */
export function toMarkup(runtime: Runtime, value: PyValue): RichText {
  const text = softStr(runtime, value);
  return new RichText(textOf(text), true, marksOf(text));
}

export function assertText(value: PyValue, what: string): Text {
  if (!isText(value)) throw typeError(`${what} must be str, not ${typeNameOf(value)}`);
  return value;
}
