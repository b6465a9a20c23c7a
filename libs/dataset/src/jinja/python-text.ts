/** Facts about texts as Python counts and classes them. */

const SPACES =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

export const spaceRun = new RegExp(`[${SPACES}]+`, 'g');
const notSpace = new RegExp(`[^${SPACES}]`);
export const surrogate = /[\ud800-\udfff]/;

export function isSpaceUnit(unit: number): boolean {
  if (unit < 0x80) return unit === 0x20 || (unit >= 9 && unit <= 13) || (unit >= 28 && unit <= 31);
  if (unit < 0x1680) return unit === 0x85 || unit === 0xa0;
  if (unit >= 0x2000 && unit <= 0x200a) return true;
  return (
    unit === 0x1680 ||
    unit === 0x2028 ||
    unit === 0x2029 ||
    unit === 0x202f ||
    unit === 0x205f ||
    unit === 0x3000
  );
}

export function isSpace(text: string): boolean {
  return text !== '' && !notSpace.test(text);
}

/** Offsets of what is left without white space at the ends. */
export function stripRange(text: string, left: boolean, right: boolean): [number, number] {
  let start = 0;
  let end = text.length;
  if (left) while (start < end && isSpaceUnit(text.charCodeAt(start))) start++;
  if (right) while (end > start && isSpaceUnit(text.charCodeAt(end - 1))) end--;
  return [start, end];
}

/** Whether every unit is a code point. */
export function isBmp(text: string): boolean {
  return !surrogate.test(text);
}

export function lengthOf(text: string): number {
  if (isBmp(text)) return text.length;
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    count++;
    if (isPairAt(text, i)) i++;
  }
  return count;
}

function isPairAt(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  if (unit < 0xd800 || unit > 0xdbff) return false;
  const next = text.charCodeAt(index + 1);
  return next >= 0xdc00 && next <= 0xdfff;
}

/** UTF-16 offset of a code point; the end for one beyond. */
export function offsetOf(text: string, index: number): number {
  if (isBmp(text)) return Math.min(index, text.length);
  let offset = 0;
  for (let i = 0; i < index && offset < text.length; i++) offset += isPairAt(text, offset) ? 2 : 1;
  return offset;
}

/** Code points before a UTF-16 offset. */
export function indexOfOffset(text: string, offset: number): number {
  return lengthOf(text.slice(0, offset));
}

/** The code points of a text, each as a text. */
export function codePoints(text: string): string[] {
  return isBmp(text) ? text.split('') : Array.from(text);
}

/** By code points, as Python compares. */
export function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above all other units. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const lineEnds = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/g;

/** Offsets of lines, with and without their end. */
export function lineRanges(text: string): { start: number; end: number; next: number }[] {
  const lines: { start: number; end: number; next: number }[] = [];
  let start = 0;
  for (const match of text.matchAll(lineEnds)) {
    const next = match.index + match[0].length;
    lines.push({ start, end: match.index, next });
    start = next;
  }
  if (start < text.length) lines.push({ start, end: text.length, next: text.length });
  return lines;
}
