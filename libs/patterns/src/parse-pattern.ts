import { at } from '@emloc/checked';

import { foldCase, hasLongFold } from './case-fold.js';
import { PatternError, type Assertion, type PatternNode } from './node.js';
import { parseClass } from './parse-class.js';
import { parseCharacterEscape, parseSetEscape, pointOf, unsupported } from './parse-escape.js';
import { PatternReader } from './pattern-reader.js';
import { latinNumbers } from './property.js';
import { CodePointSet } from './unicode/code-point-set.js';

interface Flags {
  readonly ignoreCase: boolean;
  readonly extended: boolean;
  readonly dotAll: boolean;
}

const noFlags: Flags = { ignoreCase: false, extended: false, dotAll: false };
const lineFeed = CodePointSet.of([[10, 10]]);
const maxDepth = 200;
/** As Oniguruma has it. */
const maxRepeats = 100_000;
/** Any longer one has more instructions than there may be. */
const maxLength = 100_000;

/** A literal, kept apart until it is known what follows it. */
interface Literal {
  readonly text: string;
  readonly node: PatternNode;
}

/**
 * Reads a regular expression as Oniguruma does with its own syntax: `^` and `$` at every line, `\h`
 * a hexadecimal digit, `(?m)` the dot also for line ends, `{n,m}+` greedy twice.
 * @throws PatternError where it is wrong, or has back references, calls, conditions or the like
 */
export function parsePattern(pattern: string): PatternNode {
  if (pattern.length > maxLength)
    throw new PatternError(`it has ${pattern.length} characters, more than ${maxLength}`);
  const reader = new PatternReader(pattern);
  const node = new PatternParser(reader).choice(noFlags, 0);
  if (!reader.done) throw new PatternError('a group is closed that is not open');
  return node;
}

class PatternParser {
  constructor(private readonly reader: PatternReader) {}

  choice(flags: Flags, depth: number): PatternNode {
    if (depth > maxDepth) throw new PatternError(`groups are nested more than ${maxDepth} deep`);
    const branches = [this.#sequence(flags, depth)];
    while (this.reader.take('|')) branches.push(this.#sequence(flags, depth));
    const [only] = branches;
    return branches.length === 1 && only ? only : { kind: 'choice', branches };
  }

  #sequence(flags: Flags, depth: number): PatternNode {
    const parts: PatternNode[] = [];
    let literal = '';
    while (!this.reader.done && this.reader.peek() !== '|' && this.reader.peek() !== ')') {
      if (flags.extended && this.#skipBlank()) continue;
      const flagged = this.#flagGroup(flags);
      // Flags without a colon hold to the end of the group, across its alternatives.
      if (flagged) {
        parts.push(this.choice(flagged, depth + 1));
        break;
      }
      const atom = this.#atom(flags, depth);
      if (!atom) continue;
      literal = 'text' in atom ? literal + atom.text : '';
      if (flags.ignoreCase && hasLongFold(literal)) throw unsupported(`(?i) on ${literal}`);
      parts.push(this.#repeated('text' in atom ? atom.node : atom));
    }
    const [only] = parts;
    return parts.length === 1 && only ? only : { kind: 'sequence', parts };
  }

  #skipBlank(): boolean {
    if (this.reader.take('#')) {
      while (!this.reader.done && this.reader.next() !== '\n');
      return true;
    }
    return this.reader.takeWhile(/[ \t\n\r\f\v]/) !== '';
  }

  /** Takes `(?i)` and the like, `(?i:` not. */
  #flagGroup(flags: Flags): Flags | undefined {
    const start = this.reader.position;
    if (!this.reader.take('(?')) return undefined;
    const letters = this.reader.takeWhile(/[a-zA-Z-]/);
    if (letters !== '' && this.reader.take(')')) return withFlags(flags, letters);
    this.reader.position = start;
    return undefined;
  }

  #atom(flags: Flags, depth: number): PatternNode | Literal | undefined {
    const { reader } = this;
    if (reader.take('(?#')) {
      reader.takeUntil(')');
      return undefined;
    }
    if (reader.take('(')) return this.#group(flags, depth);
    if (reader.take('[')) return { kind: 'set', set: parseClass(reader, flags.ignoreCase) };
    if (reader.take('.'))
      return { kind: 'set', set: flags.dotAll ? CodePointSet.all : lineFeed.complement() };
    if (reader.take('^')) return assert('line start');
    if (reader.take('$')) return assert('line end');
    if (reader.take('\\')) return this.#escape(flags);
    if (/[*+?]/.test(reader.peek())) throw new PatternError('there is nothing to repeat');
    return literalOf(pointOf(reader.next()), flags);
  }

  #escape(flags: Flags): PatternNode | Literal {
    const { reader } = this;
    const letter = reader.peek();
    const assertion = Object.hasOwn(assertions, letter) ? assertions[letter] : undefined;
    if (assertion) {
      reader.next();
      return assert(assertion);
    }
    if (reader.take('N')) return { kind: 'set', set: lineFeed.complement() };
    if (reader.take('O')) return { kind: 'set', set: CodePointSet.all };
    if (reader.take('R')) return lineBreak;
    if (/[1-7]/.test(letter) && /[0-7]/.test(reader.peek(1)))
      return literalOf(parseInt(reader.takeWhile(/[0-7]/, 3), 8), flags);
    if (/[1-9]/.test(letter)) throw unsupported('a back reference');
    const set = parseSetEscape(reader);
    if (!set) return literalOf(parseCharacterEscape(reader), flags);
    if (letter === 'w') return { kind: 'set', set: set.union(latinNumbers) };
    if (letter === 'W') return { kind: 'set', set: set.without(latinNumbers) };
    return { kind: 'set', set };
  }

  #group(flags: Flags, depth: number): PatternNode {
    const { reader } = this;
    if (!reader.take('?')) return this.#closed(flags, depth);
    const behind = reader.take('<=') ? 'positive' : reader.take('<!') ? 'negative' : undefined;
    if (behind) return this.#look(flags, depth, false, behind === 'negative');
    if (reader.take('=')) return this.#look(flags, depth, true, false);
    if (reader.take('!')) return this.#look(flags, depth, true, true);
    if (reader.take('>')) return { kind: 'atomic', body: this.#closed(flags, depth) };
    if (reader.take('<') || reader.take("'")) {
      if (reader.takeWhile(/[\p{L}\p{N}_]/u) === '' || !(reader.take('>') || reader.take("'")))
        throw new PatternError('a group has no name');
      return this.#closed(flags, depth);
    }
    const letters = reader.takeWhile(/[a-zA-Z-]/);
    if (!reader.take(':')) throw unsupported(`(?${letters}${reader.peek()}`);
    return this.#closed(withFlags(flags, letters), depth);
  }

  #look(flags: Flags, depth: number, ahead: boolean, negative: boolean): PatternNode {
    return { kind: 'look', ahead, negative, body: this.#closed(flags, depth) };
  }

  #closed(flags: Flags, depth: number): PatternNode {
    const body = this.choice(flags, depth + 1);
    if (!this.reader.take(')')) throw new PatternError('a group is not closed');
    return body;
  }

  #repeated(node: PatternNode): PatternNode {
    let repeated = node;
    for (let count = 0; ; count += 1) {
      const range = this.#quantifier();
      if (!range) return repeated;
      if (count > 10) throw new PatternError('too many quantifiers in a row');
      const [min, max, counted] = range;
      const lazy = this.reader.take('?');
      const possessive = !lazy && !counted && this.reader.take('+');
      if (node.kind === 'look' || node.kind === 'assert')
        throw unsupported('a repeated look around');
      repeated =
        lazy && counted && min === max
          ? { kind: 'repeat', body: repeat(repeated, min, max), min: 0, max: 1, greedy: true }
          : { ...repeat(repeated, min, max), greedy: !lazy };
      if (possessive) repeated = { kind: 'atomic', body: repeated };
    }
  }

  /** Minimum, maximum and whether it is in braces. */
  #quantifier(): [number, number, boolean] | undefined {
    if (this.reader.take('*')) return [0, Infinity, false];
    if (this.reader.take('+')) return [1, Infinity, false];
    if (this.reader.take('?')) return [0, 1, false];
    const start = this.reader.position;
    if (!this.reader.take('{')) return undefined;
    const least = this.reader.takeWhile(/[0-9]/, 9);
    const comma = this.reader.take(',');
    const most = comma ? this.reader.takeWhile(/[0-9]/, 9) : least;
    if (!this.reader.take('}') || (least === '' && most === '')) {
      this.reader.position = start;
      return undefined;
    }
    const [min, max] = [Number(least), most === '' ? Infinity : Number(most)];
    if (min > max || min > maxRepeats || (max > maxRepeats && max !== Infinity))
      throw unsupported(`{${least},${most}}`);
    return [min, max, true];
  }
}

const assertions: Readonly<Record<string, Assertion>> = {
  A: 'text start',
  Z: 'text end or last line end',
  z: 'text end',
  b: 'word border',
  B: 'no word border',
};

/** `\R`: a line end of any kind, CR LF as one, never given back. */
const lineBreak: PatternNode = {
  kind: 'atomic',
  body: {
    kind: 'choice',
    branches: [
      {
        kind: 'sequence',
        parts: [
          { kind: 'set', set: CodePointSet.ofText('\r') },
          { kind: 'set', set: lineFeed },
        ],
      },
      { kind: 'set', set: CodePointSet.ofText('\n\v\f\r\u0085\u2028\u2029') },
    ],
  },
};

function assert(assertion: Assertion): PatternNode {
  return { kind: 'assert', assertion };
}

function repeat(
  body: PatternNode,
  min: number,
  max: number,
): Extract<PatternNode, { kind: 'repeat' }> {
  return { kind: 'repeat', body, min, max, greedy: true };
}

function literalOf(codePoint: number, { ignoreCase }: Flags): Literal {
  const set = CodePointSet.of([[codePoint, codePoint]]);
  return {
    text: String.fromCodePoint(codePoint),
    node: { kind: 'set', set: ignoreCase ? foldCase(set) : set },
  };
}

function withFlags(flags: Flags, letters: string): Flags {
  const parts = letters.split('-');
  const on = at(parts, 0);
  const off = parts.at(1) ?? '';
  if (parts.length > 2 || /[^imx]/.test(on + off)) throw unsupported(`(?${letters})`);
  const flag = (letter: string, now: boolean): boolean =>
    (now || on.includes(letter)) && !off.includes(letter);
  return {
    ignoreCase: flag('i', flags.ignoreCase),
    dotAll: flag('m', flags.dotAll),
    extended: flag('x', flags.extended),
  };
}
