import { valueError } from './errors.js';
import { codePoints } from './python-text.js';
import { type Runtime } from './values.js';

interface WrapOptions {
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

// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const notBlank = /[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

function isBlank(text: string): boolean {
  return !notBlank.test(text);
}

/** A part of a line that is only broken where it is too long for any. */
class Chunk {
  readonly #points: readonly string[];
  readonly #start: number;

  constructor(points: readonly string[], start = 0) {
    this.#points = points;
    this.#start = start;
  }

  get length(): number {
    return this.#points.length - this.#start;
  }

  get text(): string {
    return this.head(this.length);
  }

  head(length: number): string {
    return this.#points.slice(this.#start, this.#start + length).join('');
  }

  after(length: number): Chunk {
    return new Chunk(this.#points, this.#start + length);
  }

  /** Behind the last hyphen that has space, when something else stands before it. */
  hyphenEnd(space: number): number {
    const points = this.#points.slice(this.#start, this.#start + space);
    const hyphen = points.lastIndexOf('-');
    const isWithin = hyphen > 0 && points.slice(0, hyphen).some((point) => point !== '-');
    return isWithin ? hyphen + 1 : space;
  }
}

/** Lines of a paragraph, as Python's textwrap makes them. */
export function wrap(runtime: Runtime, text: string, options: WrapOptions): string[] {
  if (options.width <= 0) throw valueError(`invalid width ${options.width} (must be > 0)`);
  const pattern = options.breaksOnHyphens ? chunks : simpleChunks;
  const parts = text.split(pattern).filter((part) => part !== '');
  runtime.budget.items(text.length);
  return new Wrapper(options, parts.map((part) => new Chunk(codePoints(part))).reverse()).lines();
}

class Wrapper {
  readonly #options: WrapOptions;
  /** The next one is the last. */
  readonly #rest: Chunk[];
  readonly #lines: string[] = [];

  constructor(options: WrapOptions, rest: Chunk[]) {
    this.#options = options;
    this.#rest = rest;
  }

  lines(): string[] {
    while (this.#rest.length > 0) this.#line();
    return this.#lines;
  }

  #line(): void {
    const { width } = this.#options;
    if (this.#lines.length > 0 && this.#isBlankNext()) this.#rest.pop();
    const line: string[] = [];
    let length = 0;
    for (let next = this.#rest.at(-1); next !== undefined; next = this.#rest.at(-1)) {
      if (length + next.length > width) break;
      line.push(next.text);
      this.#rest.pop();
      length += next.length;
    }
    if ((this.#rest.at(-1)?.length ?? 0) > width) this.#breakWord(line, length);
    if (line.length > 0 && isBlank(line.at(-1) ?? '')) line.pop();
    if (line.length > 0) this.#lines.push(line.join(''));
  }

  #isBlankNext(): boolean {
    const next = this.#rest.at(-1);
    return next !== undefined && isBlank(next.head(1)) && isBlank(next.text);
  }

  /** Of a word that is too long for any line, as much as there is space for. */
  #breakWord(line: string[], length: number): void {
    const { width, breaksLongWords, breaksOnHyphens } = this.#options;
    const word = this.#rest.at(-1);
    if (word === undefined || (!breaksLongWords && line.length > 0)) return;
    this.#rest.pop();
    if (!breaksLongWords) {
      line.push(word.text);
      return;
    }
    const space = width - length;
    const end = breaksOnHyphens && word.length > space ? word.hyphenEnd(space) : space;
    line.push(word.head(end));
    this.#rest.push(word.after(end));
  }
}
