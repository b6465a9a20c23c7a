import { PathPatterns, PatternError, PatternWorkError } from '@emloc/patterns';

import { CheckpointError, quoted } from './errors.js';
import { PlainPatterns } from './plain-patterns.js';

/** `rank_pattern` or `alpha_pattern`: numbers of single layers; undefined where there is none. */
export type LayerNumbers = (path: string) => number | undefined;

/** Of all paths with all kinds of patterns. */
const mostLooks = 20_000_000;

/**
 * Reads a pattern of PEFT's: expressions that match the end of a module path, from a dot or the
 * start on; the first of them counts.
 * @throws CheckpointError CHECKPOINT_ADAPTER_INVALID for malformed ones,
 * CHECKPOINT_ADAPTER_UNSUPPORTED, at a path, for expressions that take too much work
 */
export function parseLayerNumbers(
  value: unknown,
  key: string,
  isValid: (number: unknown) => number is number,
): LayerNumbers {
  if (value === undefined || value === null) return () => undefined;
  if (typeof value !== 'object' || Array.isArray(value))
    throw invalid(`${key} is ${quoted(value)}, no object of numbers by layer`);
  const entries = Object.entries(value).map(([expression, number]: [string, unknown]) => {
    if (isValid(number)) return [expression, number] as const;
    throw invalid(`${key}: ${quoted(expression)} is ${quoted(number)}, which is out of range`);
  });
  const first = firstMatchOf(
    entries.map(([expression]) => expression),
    key,
  );
  return (path) => entries.at(first(path))?.[1];
}

/** Which of some expressions is the first that matches a path; what is behind them: none. */
function firstMatchOf(expressions: readonly string[], key: string): (path: string) => number {
  const plain = new PlainPatterns();
  const patterns = new PathPatterns();
  const others: { readonly index: number; matches(path: string): boolean }[] = [];
  for (const [index, expression] of expressions.entries())
    if (/^[\w.-]+$/.test(expression)) plain.add(expression, index);
    else others.push({ index, matches: matcherOf(patterns, expression, key) });
  let looks = 0;
  return (path) => {
    looks += plain.looks + others.length;
    if (looks > mostLooks)
      throw unsupported(`${key} has ${expressions.length} patterns, too many for so many layers`);
    const known = plain.firstOf(path) ?? expressions.length;
    return others.find(({ index, matches }) => index < known && matches(path))?.index ?? known;
  };
}

function matcherOf(
  patterns: PathPatterns,
  expression: string,
  key: string,
): (path: string) => boolean {
  const naming = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw refusalOf(error, `${key}: ${quoted(expression)}`);
    }
  };
  const pattern = naming(() => patterns.compile(`(?:.*\\.)?(?:${expression})`));
  return (path) => naming(() => pattern.test(path));
}

function refusalOf(error: unknown, what: string): unknown {
  if (error instanceof PatternError)
    return invalid(`${what} cannot be used: ${error.message}`, { cause: error });
  if (!(error instanceof PatternWorkError)) return error;
  return unsupported(`${what} cannot be used: ${error.message}`, { cause: error });
}

function unsupported(reason: string, options?: ErrorOptions): CheckpointError {
  return new CheckpointError('CHECKPOINT_ADAPTER_UNSUPPORTED', reason, options);
}

function invalid(reason: string, options?: ErrorOptions): CheckpointError {
  return new CheckpointError('CHECKPOINT_ADAPTER_INVALID', reason, options);
}
