import { compilePattern, Op, type Program } from './compile-pattern.js';
import type { PatternNode } from './node.js';
import { parsePattern } from './parse-pattern.js';
import { PatternSets } from './pattern-sets.js';

/** Steps for any text, and for each character on top of that. */
const baseSteps = 20_000_000;
const stepsPerUnit = 300;
/** Numbers of the frames to go back to: 192 MiB. */
const maxStack = 3 * 2 ** 24;

/** A pattern took too much work on a text: it backtracks without end, or nearly so. */
export class PatternWorkError extends Error {
  override readonly name = 'PatternWorkError';
}

/**
 * Finds the matches of an Oniguruma pattern by backtracking, with a limit of steps that grows with
 * the text only. Positions are UTF-16 units.
 */
export class PatternMatcher {
  readonly #program: Program;
  readonly #code: Int32Array;
  readonly #marks: Int32Array;
  /** Frames of three numbers: instruction, and what it needs to go on. */
  #stack = new Int32Array(3 * 256);
  #depth = 0;
  #stepsLeft = 0;
  #text = '';

  /**
   * @param pattern or another matcher, whose compiled pattern and tables the two then share
   * @param sets of this pattern, or of several that share the memory of their tables
   * @throws PatternError
   */
  constructor(pattern: string | PatternNode | PatternMatcher, sets = new PatternSets()) {
    this.#program =
      pattern instanceof PatternMatcher
        ? pattern.#program
        : compilePattern(typeof pattern === 'string' ? parsePattern(pattern) : pattern, sets);
    this.#code = this.#program.code;
    this.#marks = new Int32Array(this.#program.loopCount).fill(-1);
  }

  /**
   * Calls back with each match in turn. An empty match right after the last match does not count.
   * @throws PatternWorkError
   */
  forEachMatch(text: string, found: (start: number, end: number) => void): void {
    this.#text = text;
    this.#stepsLeft = baseSteps + stepsPerUnit * text.length;
    let from = 0;
    let lastEnd = -1;
    while (from <= text.length) {
      const start = this.#search(from);
      if (start < 0) return;
      const end = this.#end;
      if (start === end && end === lastEnd) {
        from += this.#unitsAt(from);
        continue;
      }
      found(start, end);
      from = end;
      lastEnd = end;
    }
  }

  /**
   * Whether the text begins with a match.
   * @param work steps that are left, counted down
   * @throws PatternWorkError
   */
  beginsWithMatch(text: string, work: { steps: number }): boolean {
    this.#text = text;
    this.#stepsLeft = work.steps;
    this.#depth = 0;
    try {
      return this.#run(0, 0) >= 0;
    } finally {
      work.steps = this.#stepsLeft;
    }
  }

  #end = 0;

  /** Where the next match begins, -1 for none; `#end` is where it ends. */
  #search(from: number): number {
    const { first, sets } = this.#program;
    const length = this.#text.length;
    const table = first >= 0 ? sets.tableOf(first) : null;
    const bit = first >= 0 ? sets.bitOf(first) : 0;
    for (let at = from; at <= length; at += this.#unitsAt(at)) {
      if (table && (at === length || ((table[this.#pointAt(at)] as number) & bit) === 0)) continue;
      this.#depth = 0;
      this.#end = this.#run(0, at);
      if (this.#end >= 0) return at;
    }
    return -1;
  }

  #pointAt(at: number): number {
    const unit = this.#text.charCodeAt(at);
    return (unit & 0xfc00) === 0xd800 ? (this.#text.codePointAt(at) ?? unit) : unit;
  }

  #unitsAt(at: number): number {
    return at < this.#text.length && this.#pointAt(at) > 0xffff ? 2 : 1;
  }

  /** Runs from an instruction to a `match`; the end of the match, or -1. */
  #run(from: number, start: number): number {
    const code = this.#code;
    const base = this.#depth;
    let pc = from;
    let at = start;
    for (;;) {
      if ((this.#stepsLeft -= 1) < 0)
        throw new PatternWorkError('the pattern takes too many steps on this text');
      let fits = true;
      switch (code[pc]) {
        case Op.match:
          this.#depth = base;
          return at;
        case Op.set: {
          const point = at < this.#text.length ? this.#pointAt(at) : -1;
          fits = point >= 0 && this.#isIn(code[pc + 1] as number, point);
          at += point > 0xffff ? 2 : 1;
          pc += 2;
          break;
        }
        case Op.alt:
          pc = this.#branch(pc, 0, at);
          fits = pc >= 0;
          break;
        case Op.jump:
          pc = code[pc + 1] as number;
          break;
        case Op.run:
        case Op.hold: {
          const least = this.#runEnd(pc, at, code[pc + 2] as number, true);
          fits = least >= 0;
          if (!fits) break;
          const max = code[pc + 3] as number;
          at = this.#runEnd(pc, least, max < 0 ? -1 : max - (code[pc + 2] as number), false);
          if (code[pc] === Op.run && at > least) this.#push(pc, at, least);
          pc += 4;
          break;
        }
        case Op.look:
          fits = this.#look(pc, at);
          pc = code[pc + 4] as number;
          break;
        case Op.atomic: {
          const end = this.#run(pc + 2, at);
          fits = end >= 0;
          at = end;
          pc = code[pc + 1] as number;
          break;
        }
        case Op.assert:
          fits = this.#holds(code[pc + 1] as number, at);
          pc += 2;
          break;
        case Op.mark: {
          const loop = code[pc + 1] as number;
          this.#push(pc, this.#marks[loop] as number, 0);
          this.#marks[loop] = at;
          pc += 2;
          break;
        }
        default: {
          const stands = this.#marks[code[pc + 1] as number] === at;
          pc = stands ? (code[pc + 2] as number) : pc + 3;
        }
      }
      if (fits) continue;
      // Backtracks to the last frame that has something left to try.
      pc = -1;
      while (pc < 0) {
        if (this.#depth === base) return -1;
        this.#depth -= 3;
        const frame = this.#stack[this.#depth] as number;
        const second = this.#stack[this.#depth + 1] as number;
        const third = this.#stack[this.#depth + 2] as number;
        if (code[frame] === Op.alt) {
          at = third;
          pc = this.#branch(frame, second, at);
        } else if (code[frame] === Op.run) {
          const low = (this.#text.charCodeAt(second - 1) & 0xfc00) === 0xdc00;
          const paired = low && (this.#text.charCodeAt(second - 2) & 0xfc00) === 0xd800;
          at = second - (paired ? 2 : 1);
          if (at > third) this.#push(frame, at, third);
          pc = frame + 4;
        } else this.#marks[code[frame + 1] as number] = second;
      }
    }
  }

  #isIn(set: number, point: number): boolean {
    const { sets } = this.#program;
    return ((sets.tableOf(set)[point] as number) & sets.bitOf(set)) !== 0;
  }

  /** The first branch from `index` on that can begin here; the next one that can is kept. */
  #branch(pc: number, index: number, at: number): number {
    const code = this.#code;
    const count = code[pc + 1] as number;
    const point = at < this.#text.length ? this.#pointAt(at) : -1;
    let chosen = -1;
    for (let i = index; i < count; i += 1) {
      const first = code[pc + 3 + 2 * i] as number;
      if (first >= 0 && (point < 0 || !this.#isIn(first, point))) continue;
      if (chosen >= 0) {
        this.#push(pc, i, at);
        return chosen;
      }
      chosen = code[pc + 2 + 2 * i] as number;
    }
    return chosen;
  }

  /** Goes on while characters are in the set; -1 where `exact` and there are fewer than `limit`. */
  #runEnd(pc: number, from: number, limit: number, exact: boolean): number {
    const { sets } = this.#program;
    const set = this.#code[pc + 1] as number;
    const table = sets.tableOf(set);
    const bit = sets.bitOf(set);
    const text = this.#text;
    let at = from;
    let count = 0;
    while (count !== limit && at < text.length) {
      let point = text.charCodeAt(at);
      if ((point & 0xfc00) === 0xd800) point = text.codePointAt(at) ?? point;
      if (((table[point] as number) & bit) === 0) break;
      at += point > 0xffff ? 2 : 1;
      count += 1;
    }
    this.#stepsLeft -= count >> 3;
    return exact && count < limit ? -1 : at;
  }

  #look(pc: number, at: number): boolean {
    const code = this.#code;
    const ahead = code[pc + 1] === 1;
    const start = ahead ? at : this.#back(at, code[pc + 3] as number);
    const end = start < 0 ? -1 : this.#run(pc + 5, start);
    const found = end >= 0 && (ahead || end === at);
    return found !== (code[pc + 2] === 1);
  }

  #back(at: number, count: number): number {
    let start = at;
    for (let i = 0; i < count; i += 1) {
      if (start === 0) return -1;
      start -= 1;
      if (start > 0 && this.#unitsAt(start - 1) === 2) start -= 1;
    }
    return start;
  }

  #holds(assertion: number, at: number): boolean {
    const text = this.#text;
    const end = text.length;
    switch (assertion) {
      case 0:
        // A line end at the end of the text begins no line.
        return at === 0 || (text.charCodeAt(at - 1) === 10 && at !== end);
      case 1:
        return at === end || text.charCodeAt(at) === 10;
      case 2:
        return at === 0;
      case 3:
        return at === end;
      case 4:
        return at === end || (at === end - 1 && text.charCodeAt(at) === 10);
      case 5:
        return this.#isWord(this.#back(at, 1)) !== this.#isWord(at);
      default:
        return this.#isWord(this.#back(at, 1)) === this.#isWord(at);
    }
  }

  #isWord(at: number): boolean {
    if (at < 0 || at >= this.#text.length) return false;
    return this.#isIn(this.#program.wordSet, this.#pointAt(at));
  }

  #push(first: number, second: number, third: number): void {
    if (this.#depth + 3 > this.#stack.length) {
      if (this.#stack.length >= maxStack)
        throw new PatternWorkError('the pattern takes too much memory on this text');
      const larger = new Int32Array(2 * this.#stack.length);
      larger.set(this.#stack);
      this.#stack = larger;
    }
    this.#stack[this.#depth] = first;
    this.#stack[this.#depth + 1] = second;
    this.#stack[this.#depth + 2] = third;
    this.#depth += 3;
  }
}
