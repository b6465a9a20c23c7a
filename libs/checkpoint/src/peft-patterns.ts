import { PathPatterns, PatternError, PatternWorkError } from '@emloc/patterns';

import { CheckpointError, quoted } from './errors.js';

/** `rank_pattern` or `alpha_pattern`: numbers of single layers; undefined where there is none. */
export type LayerNumbers = (path: string) => number | undefined;

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
  const patterns = new PathPatterns();
  const rules = Object.entries(value).map(([expression, number]: [string, unknown]) => {
    if (!isValid(number))
      throw invalid(`${key}: ${quoted(expression)} is ${quoted(number)}, which is out of range`);
    return { matches: matcherOf(patterns, expression, key), number };
  });
  return (path) => rules.find(({ matches }) => matches(path))?.number;
}

function matcherOf(
  patterns: PathPatterns,
  expression: string,
  key: string,
): (path: string) => boolean {
  if (/^[\w.-]+$/.test(expression)) return (path) => endsWithPlain(path, expression);
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

/** Most are whole paths, of which there may be very many; a dot still is any character. */
function endsWithPlain(path: string, expression: string): boolean {
  const start = path.length - expression.length;
  if (start < 0 || (start > 0 && path[start - 1] !== '.')) return false;
  for (let i = expression.length - 1; i >= 0; i -= 1)
    if (expression[i] !== '.' && expression[i] !== path[start + i]) return false;
  return true;
}

function refusalOf(error: unknown, what: string): unknown {
  if (error instanceof PatternError)
    return invalid(`${what} cannot be used: ${error.message}`, { cause: error });
  if (!(error instanceof PatternWorkError)) return error;
  return new CheckpointError(
    'CHECKPOINT_ADAPTER_UNSUPPORTED',
    `${what} cannot be used: ${error.message}`,
    { cause: error },
  );
}

function invalid(reason: string, options?: ErrorOptions): CheckpointError {
  return new CheckpointError('CHECKPOINT_ADAPTER_INVALID', reason, options);
}
