import { CodePointSet } from '../unicode/code-point-set.js';
import { wordCharacters } from '../unicode/properties.js';
import { fixedLength, isNullable, PatternError, type Assertion, type PatternNode } from './node.js';
import { LATIN_NUMBERS } from './property.js';
import { SetTable } from './set-table.js';

/**
 * Instructions, each a number followed by its operands:
 * MATCH; SET set; ALT count (target first)*; JUMP target; RUN set min max; HOLD set min max;
 * LOOK ahead negative length next, then the body up to MATCH; ATOMIC next, then the body up to
 * MATCH; ASSERT assertion; MARK loop; CHECK loop exit. `first` is the number of the set of what a
 * branch can begin with, -1 where it can be anything; `max` -1 is without limit.
 */
export const Op = {
  MATCH: 0,
  SET: 1,
  ALT: 2,
  JUMP: 3,
  RUN: 4,
  HOLD: 5,
  LOOK: 6,
  ATOMIC: 7,
  ASSERT: 8,
  MARK: 9,
  CHECK: 10,
} as const;

const ASSERTION_ORDER: readonly Assertion[] = [
  'line start',
  'line end',
  'text start',
  'text end',
  'text end or last line end',
  'word border',
  'no word border',
];

/** Counted repeats are written out. */
const MAX_INSTRUCTIONS = 50_000;

export interface Program {
  readonly code: Int32Array;
  readonly sets: SetTable;
  /** What a match begins with; -1: anything, or it may be empty. */
  readonly first: number;
  readonly wordSet: number;
  readonly loopCount: number;
}

/** @throws PatternError */
export function compilePattern(node: PatternNode): Program {
  const compiler = new Compiler();
  const first = compiler.firstOf(node);
  compiler.emitNode(node);
  compiler.emit(Op.MATCH);
  return {
    code: Int32Array.from(compiler.code),
    sets: compiler.sets,
    first,
    wordSet: compiler.sets.add(wordCharacters().union(LATIN_NUMBERS)),
    loopCount: compiler.loopCount,
  };
}

class Compiler {
  readonly code: number[] = [];
  readonly sets = new SetTable();
  loopCount = 0;

  emit(...numbers: readonly number[]): void {
    this.code.push(...numbers);
    if (this.code.length > MAX_INSTRUCTIONS)
      throw new PatternError(`it is longer than ${MAX_INSTRUCTIONS} with its repeats written out`);
  }

  firstOf(node: PatternNode): number {
    const set = beginnings(node);
    return set && !isNullable(node) ? this.sets.add(set) : -1;
  }

  emitNode(node: PatternNode): void {
    switch (node.kind) {
      case 'set':
        return this.emit(Op.SET, this.sets.add(node.set));
      case 'sequence':
        return node.parts.forEach((part) => this.emitNode(part));
      case 'choice':
        return this.#choice(node.branches);
      case 'repeat':
        return this.#repeat(node);
      case 'atomic':
        return this.#atomic(node.body);
      case 'look':
        return this.#look(node);
      case 'assert':
        return this.emit(Op.ASSERT, ASSERTION_ORDER.indexOf(node.assertion));
    }
  }

  #choice(branches: readonly PatternNode[]): void {
    const at = this.#alternatives(branches.map((branch) => this.firstOf(branch)));
    const jumps = branches.map((branch, i) => {
      this.code[at + 2 + 2 * i] = this.code.length;
      this.emitNode(branch);
      this.emit(Op.JUMP, 0);
      return this.code.length - 1;
    });
    for (const jump of jumps) this.code[jump] = this.code.length;
  }

  /** An ALT whose targets are still to be set; returns where it stands. */
  #alternatives(firsts: readonly number[]): number {
    const at = this.code.length;
    this.emit(Op.ALT, firsts.length, ...firsts.flatMap((first) => [0, first]));
    return at;
  }

  #repeat(node: Extract<PatternNode, { kind: 'repeat' }>): void {
    const { body, min, max, greedy } = node;
    if (body.kind === 'set' && greedy)
      return this.emit(Op.RUN, this.sets.add(body.set), min, max === Infinity ? -1 : max);
    for (let i = 0; i < min; i += 1) this.emitNode(body);
    if (max === Infinity) this.#loop(body, greedy);
    else this.#options(body, max - min, greedy);
  }

  #loop(body: PatternNode, greedy: boolean): void {
    const first = this.firstOf(body);
    const at = this.#alternatives(greedy ? [first, -1] : [-1, first]);
    const [into, out] = greedy ? [at + 2, at + 4] : [at + 4, at + 2];
    this.code[into] = this.code.length;
    const loop = isNullable(body) ? this.loopCount++ : -1;
    if (loop >= 0) this.emit(Op.MARK, loop);
    this.emitNode(body);
    // A turn that took nothing is the last: otherwise it would go on for ever.
    if (loop >= 0) this.emit(Op.CHECK, loop, 0);
    const check = this.code.length - 1;
    this.emit(Op.JUMP, at);
    this.code[out] = this.code.length;
    if (loop >= 0) this.code[check] = this.code.length;
  }

  #options(body: PatternNode, count: number, greedy: boolean): void {
    const exits: number[] = [];
    for (let i = 0; i < count; i += 1) {
      const first = this.firstOf(body);
      const at = this.#alternatives(greedy ? [first, -1] : [-1, first]);
      exits.push(greedy ? at + 4 : at + 2);
      this.code[greedy ? at + 2 : at + 4] = this.code.length;
      this.emitNode(body);
    }
    for (const exit of exits) this.code[exit] = this.code.length;
  }

  #atomic(body: PatternNode): void {
    if (body.kind === 'repeat' && body.body.kind === 'set' && body.greedy) {
      const max = body.max === Infinity ? -1 : body.max;
      return this.emit(Op.HOLD, this.sets.add(body.body.set), body.min, max);
    }
    const at = this.code.length;
    this.emit(Op.ATOMIC, 0);
    this.emitNode(body);
    this.emit(Op.MATCH);
    this.code[at + 1] = this.code.length;
  }

  #look({ ahead, negative, body }: Extract<PatternNode, { kind: 'look' }>): void {
    const branches = !ahead && body.kind === 'choice' ? body.branches : [body];
    const lengths = branches.map((branch) => (ahead ? 0 : fixedLength(branch)));
    if (new Set(lengths).size > 1) return this.#lookBehindEach(branches, negative);
    const at = this.code.length;
    this.emit(Op.LOOK, ahead ? 1 : 0, negative ? 1 : 0, lengths[0] ?? 0, 0);
    this.emitNode(body);
    this.emit(Op.MATCH);
    this.code[at + 4] = this.code.length;
  }

  /** Branches of several lengths: none of them, or one of them, behind. */
  #lookBehindEach(branches: readonly PatternNode[], negative: boolean): void {
    const looks = branches.map((body) => ({ kind: 'look', ahead: false, negative, body }) as const);
    if (negative) looks.forEach((look) => this.#look(look));
    else this.#choice(looks);
  }
}

/** What a match of it begins with, undefined where that is not known. */
function beginnings(node: PatternNode): CodePointSet | undefined {
  switch (node.kind) {
    case 'set':
      return node.set;
    case 'repeat':
    case 'atomic':
      return beginnings(node.body);
    case 'choice':
      return unionOf(node.branches.map(beginnings));
    case 'sequence': {
      const length = node.parts.findIndex((part) => !isNullable(part));
      return unionOf(
        node.parts
          .slice(0, length < 0 ? node.parts.length : length + 1)
          .filter(({ kind }) => kind !== 'look' && kind !== 'assert')
          .map(beginnings),
      );
    }
    case 'look':
    case 'assert':
      return undefined;
  }
}

function unionOf(sets: readonly (CodePointSet | undefined)[]): CodePointSet | undefined {
  const known = sets.filter((set) => set !== undefined);
  return known.length === sets.length ? CodePointSet.none.union(...known) : undefined;
}
