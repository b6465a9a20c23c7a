import { at } from '@emloc/checked';

import { fixedLength, isNullable, PatternError, type Assertion, type PatternNode } from './node.js';
import type { PatternSets } from './pattern-sets.js';
import { latinNumbers } from './property.js';
import { CodePointSet } from './unicode/code-point-set.js';
import { wordCharacters } from './unicode/properties.js';

/**
 * Instructions, each a number followed by its operands:
 * match; set S; alt count (target first)*; jump target; run S min max; hold S min max;
 * look ahead negative length next, then the body up to match; atomic next, then the body up to
 * match; assert assertion; mark loop; check loop exit. S is the number of a set, `first` that of
 * what a branch can begin with, -1 where it can be anything; `max` -1 is without limit.
 */
export const Op = {
  match: 0,
  set: 1,
  alt: 2,
  jump: 3,
  run: 4,
  hold: 5,
  look: 6,
  atomic: 7,
  assert: 8,
  mark: 9,
  check: 10,
} as const;

const assertionOrder: readonly Assertion[] = [
  'line start',
  'line end',
  'text start',
  'text end',
  'text end or last line end',
  'word border',
  'no word border',
];

/** Counted repeats are written out. */
const maxInstructions = 50_000;

export interface Program {
  readonly code: Int32Array;
  readonly sets: PatternSets;
  /** What a match begins with; -1: anything, or it may be empty. */
  readonly first: number;
  /** -1: the pattern asks for no border of words. */
  readonly wordSet: number;
  readonly loopCount: number;
}

/** @throws PatternError */
export function compilePattern(node: PatternNode, sets: PatternSets): Program {
  const compiler = new Compiler(sets);
  const first = compiler.firstOf(node);
  compiler.emitNode(node);
  compiler.emit(Op.match);
  return {
    code: Int32Array.from(compiler.code),
    sets,
    first,
    wordSet: compiler.asksForWords ? sets.add(wordCharacters().union(latinNumbers)) : -1,
    loopCount: compiler.loopCount,
  };
}

class Compiler {
  readonly code: number[] = [];
  loopCount = 0;
  asksForWords = false;

  constructor(private readonly sets: PatternSets) {}

  emit(...numbers: readonly number[]): void {
    this.code.push(...numbers);
    if (this.code.length > maxInstructions)
      throw new PatternError(`it is longer than ${maxInstructions} with its repeats written out`);
  }

  firstOf(node: PatternNode): number {
    const set = beginnings(node);
    return set && !isNullable(node) ? this.sets.add(set) : -1;
  }

  emitNode(node: PatternNode): void {
    switch (node.kind) {
      case 'set':
        return this.emit(Op.set, this.sets.add(node.set));
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
        this.asksForWords ||= /word/.test(node.assertion);
        return this.emit(Op.assert, assertionOrder.indexOf(node.assertion));
    }
  }

  #choice(branches: readonly PatternNode[]): void {
    const at = this.#alternatives(branches.map((branch) => this.firstOf(branch)));
    const jumps = branches.map((branch, i) => {
      this.code[at + 2 + 2 * i] = this.code.length;
      this.emitNode(branch);
      this.emit(Op.jump, 0);
      return this.code.length - 1;
    });
    for (const jump of jumps) this.code[jump] = this.code.length;
  }

  /** An `alt` whose targets are still to be set; returns where it stands. */
  #alternatives(firsts: readonly number[]): number {
    const at = this.code.length;
    this.emit(Op.alt, firsts.length, ...firsts.flatMap((first) => [0, first]));
    return at;
  }

  #repeat(node: Extract<PatternNode, { kind: 'repeat' }>): void {
    const { body, min, max, greedy } = node;
    if (body.kind === 'set' && greedy)
      return this.emit(Op.run, this.sets.add(body.set), min, max === Infinity ? -1 : max);
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
    if (loop >= 0) this.emit(Op.mark, loop);
    this.emitNode(body);
    // A turn that took nothing is the last: otherwise it would go on for ever.
    if (loop >= 0) this.emit(Op.check, loop, 0);
    const check = this.code.length - 1;
    this.emit(Op.jump, at);
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
      return this.emit(Op.hold, this.sets.add(body.body.set), body.min, max);
    }
    const at = this.code.length;
    this.emit(Op.atomic, 0);
    this.emitNode(body);
    this.emit(Op.match);
    this.code[at + 1] = this.code.length;
  }

  #look({ ahead, negative, body }: Extract<PatternNode, { kind: 'look' }>): void {
    const branches = !ahead && body.kind === 'choice' ? body.branches : [body];
    const lengths = branches.map((branch) => (ahead ? 0 : fixedLength(branch)));
    if (new Set(lengths).size > 1) return this.#lookBehindEach(branches, negative);
    const begin = this.code.length;
    this.emit(Op.look, ahead ? 1 : 0, negative ? 1 : 0, at(lengths, 0), 0);
    this.emitNode(body);
    this.emit(Op.match);
    this.code[begin + 4] = this.code.length;
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
