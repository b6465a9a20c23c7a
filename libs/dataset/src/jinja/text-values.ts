import { TemplateError } from './errors.js';
import { RichText, type Mark } from './scalars.js';
import { type PyValue, type Runtime } from './values.js';

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
  const total = parts.reduce((length, part) => length + textOf(part).length, 0);
  runtime.budget.text(total);
  let text = '';
  let marks: Mark[] | undefined;
  for (const part of parts) {
    const offset = text.length;
    for (const { start, end } of marksOf(part))
      (marks ??= []).push({ start: start + offset, end: end + offset });
    text += textOf(part);
  }
  return toText(text, safe, marks);
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
