import { valueError } from './errors.js';
import { codePoints, lengthOf } from './python-text.js';
import { type Runtime } from './values.js';

export interface WrapOptions {
  readonly width: number;
  readonly breaksLongWords: boolean;
  readonly breaksOnHyphens: boolean;
}

const W = '[\\p{L}\\p{N}_]';
const LETTER = '[\\p{L}\\p{Nl}\\p{No}]';
const PUNCTUATION = '[\\p{L}\\p{N}_!"\'&.,?]';
const SPACE = '[\\t\\n\\v\\f\\r ]';
const WORD = '[^\\t\\n\\v\\f\\r ]';

/** Where a line may be broken: behind white space, hyphens in words, and around dashes. */
const chunks = new RegExp(
  `(${SPACE}+|(?<=${PUNCTUATION})-{2,}(?=${W})|${WORD}+?(?:` +
    `-(?:(?<=${LETTER}{2}-)|(?<=${LETTER}-${LETTER}-))(?=${LETTER}-?${LETTER})|` +
    `(?=${SPACE}|$)|(?<=${PUNCTUATION})(?=-{2,}${W})))`,
  'u',
);
const simpleChunks = new RegExp(`(${SPACE}+)`, 'u');

const isBlank = (chunk: string): boolean =>
  !/[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/.test(chunk);

/** Lines of a paragraph, as Python's textwrap makes them. */
export function wrap(runtime: Runtime, text: string, options: WrapOptions): string[] {
  if (options.width <= 0) throw valueError(`invalid width ${options.width} (must be > 0)`);
  const pattern = options.breaksOnHyphens ? chunks : simpleChunks;
  const rest = text.split(pattern).filter((chunk) => chunk !== '');
  runtime.budget.visit(rest.length);
  return new Wrapper(options, rest.reverse()).lines();
}

class Wrapper {
  readonly #options: WrapOptions;
  /** The next one is the last. */
  readonly #rest: string[];
  readonly #lines: string[] = [];

  constructor(options: WrapOptions, rest: string[]) {
    this.#options = options;
    this.#rest = rest;
  }

  lines(): string[] {
    while (this.#rest.length > 0) this.#line();
    return this.#lines;
  }

  #line(): void {
    const { width } = this.#options;
    if (this.#lines.length > 0 && isBlank(this.#rest.at(-1) ?? '')) this.#rest.pop();
    const line: string[] = [];
    let length = 0;
    for (let next = this.#rest.at(-1); next !== undefined; next = this.#rest.at(-1)) {
      const size = lengthOf(next);
      if (length + size > width) break;
      line.push(next);
      this.#rest.pop();
      length += size;
    }
    if (lengthOf(this.#rest.at(-1) ?? '') > width) this.#breakWord(line, length);
    if (line.length > 0 && isBlank(line.at(-1) ?? '')) line.pop();
    if (line.length > 0) this.#lines.push(line.join(''));
  }

  /** Of a word that is too long for any line, as much as there is space for. */
  #breakWord(line: string[], length: number): void {
    const { width, breaksLongWords, breaksOnHyphens } = this.#options;
    const space = width < 1 ? 1 : width - length;
    if (!breaksLongWords) {
      if (line.length === 0) line.push(this.#rest.pop() ?? '');
      return;
    }
    const word = codePoints(this.#rest.pop() ?? '');
    const end = breaksOnHyphens && word.length > space ? hyphenEnd(word, space) : space;
    line.push(word.slice(0, end).join(''));
    this.#rest.push(word.slice(end).join(''));
  }
}

/** Behind the last hyphen that has space, when something else stands before it. */
function hyphenEnd(word: readonly string[], space: number): number {
  const hyphen = word.slice(0, space).lastIndexOf('-');
  const isWithin = hyphen > 0 && word.slice(0, hyphen).some((point) => point !== '-');
  return isWithin ? hyphen + 1 : space;
}
