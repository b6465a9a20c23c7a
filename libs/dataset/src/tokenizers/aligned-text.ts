import { Int32List } from './int32-list.js';

/** How much text may be made of one text, in UTF-16 units: of a short one, and of any. */
const [leastMadeUnits, maxMadeUnits] = [4 * 1024 * 1024, 64 * 1024 * 1024];
/** Times its length, where that is between the two. */
const maxGrowth = 4;

function madeLimit(sourceUnits: number): number {
  const most = Math.max(leastMadeUnits, maxGrowth * sourceUnits);
  return Math.max(Math.min(most, maxMadeUnits), sourceUnits + 1024);
}

/** A normalizer or pre-tokenizer makes more text than can be kept. */
export class GrowthError extends Error {
  override readonly name = 'GrowthError';
}

export function isHighSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}

export function isLowSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xdc00;
}

/**
 * A text made from another one, which remembers where each character came from. Kept as runs: units
 * of a run come either one by one from the source, or all from the same range of it.
 */
export class AlignedText {
  #cursor = 0;

  private constructor(
    readonly text: string,
    /** Three numbers a run: where it begins, begin of its source, its end or -1 for one by one. */
    private readonly runs: Int32List,
    /** Begin of the source of the whole. */
    readonly origin: number,
    /** Length of the text that this one was made of in the first place. */
    readonly sourceUnits: number,
  ) {}

  /** A part of the source itself, which begins there. */
  static of(text: string, origin: number): AlignedText {
    const runs = new Int32List(3);
    pushRun(runs, 0, origin, -1);
    return new AlignedText(text, runs, origin, text.length);
  }

  static make(text: string, runs: Int32List, base: AlignedText, origin: number): AlignedText {
    return new AlignedText(text, runs, origin, base.sourceUnits);
  }

  /** Begin of the source range of the character that the unit belongs to. */
  startOf(unit: number): number {
    const run = this.#runOf(unit);
    const [begin, source, end] = [this.runs.at(run), this.runs.at(run + 1), this.runs.at(run + 2)];
    if (end >= 0) return source;
    const paired =
      isLowSurrogate(this.text.charCodeAt(unit)) && isHighSurrogate(this.text.charCodeAt(unit - 1));
    return source + unit - begin - (paired ? 1 : 0);
  }

  /** End of the source range of the character that the unit belongs to. */
  endOf(unit: number): number {
    const run = this.#runOf(unit);
    const [begin, source, end] = [this.runs.at(run), this.runs.at(run + 1), this.runs.at(run + 2)];
    if (end >= 0) return end;
    const paired =
      isHighSurrogate(this.text.charCodeAt(unit)) && isLowSurrogate(this.text.charCodeAt(unit + 1));
    return source + unit - begin + (paired ? 2 : 1);
  }

  /** The same runs with another text of the same characters, unit for unit. */
  withText(text: string): AlignedText {
    return new AlignedText(text, this.runs, this.origin, this.sourceUnits);
  }

  /** Text that stands in for a part of this one; whole characters. */
  slice(start: number, end: number): AlignedText {
    if (start === 0 && end === this.text.length) return this;
    const builder = new AlignedTextBuilder(this, this.startOf(start));
    builder.copy(start, end);
    return builder.build();
  }

  /** Copies the runs of a part into those of a text under construction, where it is at `target`. */
  copyRuns(start: number, end: number, target: number, runs: Int32List): void {
    for (let run = this.#runOf(start); run < this.runs.length; run += 3) {
      const begin = this.runs.at(run);
      if (begin >= end) return;
      const from = Math.max(begin, start);
      const source = this.runs.at(run + 1);
      const sourceEnd = this.runs.at(run + 2);
      const shift = sourceEnd < 0 ? from - begin : 0;
      pushRun(runs, target + from - start, source + shift, sourceEnd);
    }
  }

  /** Mostly asked for in order, so the last answer is where the search begins. */
  #runOf(unit: number): number {
    const { runs } = this;
    let run = this.#cursor;
    if (runs.at(run) > unit) run = this.#search(unit);
    while (run + 3 < runs.length && runs.at(run + 3) <= unit) run += 3;
    this.#cursor = run;
    return run;
  }

  #search(unit: number): number {
    let low = 0;
    let high = this.runs.length / 3;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.runs.at(3 * middle) <= unit) low = middle;
      else high = middle;
    }
    return 3 * low;
  }
}

/** Adds a run, or makes the last one longer where it goes on in the same way. */
function pushRun(runs: Int32List, begin: number, source: number, end: number): void {
  const last = runs.length - 3;
  if (last >= 0 && runs.at(last + 2) === end) {
    const expected = end < 0 ? runs.at(last + 1) + begin - runs.at(last) : runs.at(last + 1);
    if (expected === source) return;
  }
  runs.push(begin);
  runs.push(source);
  runs.push(end);
}

/** Makes a text from another one, from its begin to its end. */
export class AlignedTextBuilder {
  readonly #runs = new Int32List();
  readonly #chunks: string[] = [];
  readonly #parts: string[] = [];
  #length = 0;
  #copyFrom = 0;
  #copyTo = 0;
  readonly #limit: number;

  constructor(
    private readonly base: AlignedText,
    private readonly origin = base.origin,
  ) {
    this.#limit = madeLimit(base.sourceUnits);
  }

  /** A part of the base as it is. */
  copy(start: number, end: number): void {
    if (start >= end) return;
    this.base.copyRuns(start, end, this.#length, this.#runs);
    this.#extend(start, end);
    this.#count(end - start);
  }

  /**
   * Text in place of the character of the base that `unit` belongs to, or after it; -1: before
   * everything, with an empty range.
   * @throws GrowthError
   */
  put(text: string, unit: number): void {
    if (text === '') return;
    if (unit < 0) pushRun(this.#runs, this.#length, this.origin, this.origin);
    else if (text.length === 1 && this.#isSingle(unit))
      this.base.copyRuns(unit, unit + 1, this.#length, this.#runs);
    else pushRun(this.#runs, this.#length, this.base.startOf(unit), this.base.endOf(unit));
    this.#flush();
    this.#parts.push(text);
    this.#count(text.length);
    if (this.#parts.length >= 4096) this.#chunks.push(this.#parts.splice(0).join(''));
  }

  build(): AlignedText {
    this.#flush();
    return AlignedText.make(
      [...this.#chunks, ...this.#parts].join(''),
      this.#runs,
      this.base,
      this.origin,
    );
  }

  /**
   * Whether the character at the unit is one unit long: then one unit in its place is one by one.
   */
  #isSingle(unit: number): boolean {
    return (this.base.text.charCodeAt(unit) & 0xf800) !== 0xd800;
  }

  #extend(start: number, end: number): void {
    if (start === this.#copyTo && this.#copyFrom < this.#copyTo) this.#copyTo = end;
    else {
      this.#flush();
      this.#copyFrom = start;
      this.#copyTo = end;
    }
  }

  #flush(): void {
    if (this.#copyFrom < this.#copyTo)
      this.#parts.push(this.base.text.slice(this.#copyFrom, this.#copyTo));
    this.#copyFrom = this.#copyTo = 0;
  }

  #count(units: number): void {
    this.#length += units;
    if (this.#length > this.#limit)
      throw new GrowthError(`more than ${this.#limit} characters are made of one text`);
  }
}
