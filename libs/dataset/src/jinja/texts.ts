import { TemplateError, typeError } from './errors.js';
import { repr } from './repr.js';
import { type Runtime } from './runtime.js';
import { typeNameOf } from './types.js';
import { RichText, Undefined, type Mark, type PyValue } from './values.js';

/** A str of Python. */
export type Text = string | RichText;

export function isText(value: PyValue): value is Text {
  return typeof value === 'string' || value instanceof RichText;
}

/** For reading only: what is made of it has no marks. */
export function textOf(value: Text): string {
  return typeof value === 'string' ? value : value.text;
}

export function marksOf(value: Text): readonly Mark[] {
  return typeof value === 'string' ? [] : value.marks;
}

export function isSafe(value: PyValue): boolean {
  return value instanceof RichText && value.safe;
}

/** For operations that make another text and cannot say where marks go. */
export function unmarkedText(value: Text, operation: string): string {
  if (typeof value === 'string') return value;
  if (value.marks.length > 0)
    throw new TemplateError(
      'runtime',
      `the template applies ${operation} to a text with {% generation %} marks, which loses them`,
    );
  return value.text;
}

export function toText(text: string, safe: boolean, marks?: readonly Mark[]): Text {
  if (marks !== undefined && marks.length > 0) return new RichText(text, safe, marks);
  return safe ? new RichText(text, true) : text;
}

/** Part of a text, by UTF-16 offsets, with the marks that reach into it. */
export function sliceText(value: Text, start: number, end: number): Text {
  if (typeof value === 'string') return value.slice(start, end);
  const marks = value.marks
    .map((mark) => ({
      start: Math.max(mark.start, start) - start,
      end: Math.min(mark.end, end) - start,
    }))
    .filter((mark) => mark.start < mark.end);
  return toText(value.text.slice(start, end), value.safe, marks);
}

/** One after the other; the result is safe when told so. */
export function concatTexts(runtime: Runtime, parts: readonly Text[], safe = false): Text {
  let text = '';
  let marks: Mark[] | undefined;
  for (const part of parts) {
    const offset = text.length;
    for (const { start, end } of marksOf(part))
      (marks ??= []).push({ start: start + offset, end: end + offset });
    text += textOf(part);
  }
  runtime.budget.text(text.length);
  return toText(text, safe, marks);
}

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

const escapes: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&#39;',
  '"': '&#34;',
};

export function escapeText(text: string): string {
  return text.replace(/[&<>'"]/g, (unit) => escapes[unit] ?? unit);
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
