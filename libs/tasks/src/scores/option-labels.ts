import { characters, strip } from './python-text.js';

/** Options as they are compared with answers. */
export interface Options {
  /** Without labels. */
  readonly texts: readonly string[];
  /** The labels were numbers: 1 for the first option. */
  readonly isNumbered: boolean;
}

const firstLetter = 'A'.charCodeAt(0);
const letters = 26;

/** Takes labels away, `A: liver` or `(1) liver`, where every option has its own. */
export function readOptions(options: readonly string[]): Options {
  const texts = options.map(strip);
  const lettered = withoutLabels(texts, (index) => letterOf(index));
  if (lettered) return { texts: lettered, isNumbered: false };
  const numbered = withoutLabels(texts, (index) => String(index + 1));
  return { texts: numbered ?? texts, isNumbered: numbered !== null };
}

/** The letter of an option; behind Z there is none. */
export function letterOf(index: number): string {
  return index < letters ? String.fromCharCode(firstLetter + index) : '';
}

/** The option of a letter, of either case. */
export function indexOfLetter(letter: string, count: number): number | null {
  const index = letter.toUpperCase().charCodeAt(0) - firstLetter;
  return index >= 0 && index < count ? index : null;
}

function withoutLabels(
  texts: readonly string[],
  labelOf: (index: number) => string,
): string[] | null {
  const rests = texts.map((text, index) => withoutLabel(text, labelOf(index)));
  return rests.includes(null) ? null : rests.filter((rest) => rest !== null);
}

function withoutLabel(text: string, label: string): string | null {
  const inner = text.startsWith('(') ? text.slice(1) : text;
  const mark = characters(inner.slice(label.length)).at(0) ?? '';
  if (label === '' || !inner.startsWith(label) || !['.', ':', ')'].includes(mark)) return null;
  return strip(inner.slice(label.length + mark.length));
}
