import { foldCase } from './case-fold.js';
import { PatternError } from './node.js';
import { parseCharacterEscape, parseSetEscape, pointOf, unsupported } from './parse-escape.js';
import type { PatternReader } from './pattern-reader.js';
import { posixClass } from './property.js';
import { CodePointSet } from './unicode/code-point-set.js';

const backspace = 8;

/**
 * The set of a bracket whose `[` was taken: ranges, escapes, `[:posix:]`, brackets within and `&&`.
 * @throws PatternError
 */
export function parseClass(reader: PatternReader, ignoreCase: boolean): CodePointSet {
  const negated = reader.take('^');
  let met: CodePointSet | undefined;
  let set = CodePointSet.none;
  // A bracket that would be empty begins with the bracket as a character.
  let first = true;
  while (first || !reader.take(']')) {
    if (reader.take('&&')) {
      met = met ? met.intersection(set) : set;
      set = CodePointSet.none;
    } else set = set.union(parseItem(reader, ignoreCase));
    first = false;
  }
  const whole = met ? met.intersection(set) : set;
  const folded = ignoreCase ? foldCase(whole) : whole;
  return negated ? folded.complement() : folded;
}

function parseItem(reader: PatternReader, ignoreCase: boolean): CodePointSet {
  if (reader.peek() === '[') {
    const posix = parsePosix(reader);
    if (posix) return posix;
    reader.next();
    return parseClass(reader, ignoreCase);
  }
  const start = parseMember(reader);
  if (typeof start !== 'number') return start;
  if (reader.peek() !== '-' || reader.peek(1) === ']') return CodePointSet.of([[start, start]]);
  return parseRange(reader, start);
}

function parseRange(reader: PatternReader, start: number): CodePointSet {
  reader.next();
  if (reader.peek() === '[' || (reader.peek() === '&' && reader.peek(1) === '&'))
    throw unsupported('a range without an end');
  const end = parseMember(reader);
  if (typeof end !== 'number')
    return end.union(CodePointSet.of([[start, start]]), CodePointSet.ofText('-'));
  if (end < start) throw new PatternError('a range in a bracket ends before it begins');
  return CodePointSet.of([[start, end]]);
}

/** A code point, or a set that no range can begin or end with. */
function parseMember(reader: PatternReader): number | CodePointSet {
  if (!reader.take('\\')) return pointOf(reader.next());
  const set = parseSetEscape(reader);
  if (set) return set;
  if (reader.take('b')) return backspace;
  if (/[1-7]/.test(reader.peek())) return parseInt(reader.takeWhile(/[0-7]/, 3), 8);
  return parseCharacterEscape(reader);
}

function parsePosix(reader: PatternReader): CodePointSet | undefined {
  const start = reader.position;
  if (!reader.take('[:')) return undefined;
  const negated = reader.take('^');
  const name = reader.takeWhile(/[a-z]/);
  if (!reader.take(':]')) {
    reader.position = start;
    return undefined;
  }
  return negated ? posixClass(name).complement() : posixClass(name);
}
