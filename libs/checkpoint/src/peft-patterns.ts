import { CheckpointError, quoted } from './errors.js';

/** `rank_pattern` or `alpha_pattern`: numbers of single layers; undefined where there is none. */
export type LayerNumbers = (path: string) => number | undefined;

/** Together with the one before the expression, so few that no path takes long to match. */
const maxQuantifiers = 2;

/**
 * Reads a pattern of PEFT's: expressions that match the end of a module path, from a dot or the
 * start on; the first of them counts.
 * @throws CheckpointError CHECKPOINT_ADAPTER_INVALID for malformed ones,
 * CHECKPOINT_ADAPTER_UNSUPPORTED for expressions that could take for ever
 */
export function parseLayerNumbers(
  value: unknown,
  key: string,
  isValid: (number: unknown) => number is number,
): LayerNumbers {
  if (value === undefined || value === null) return () => undefined;
  if (typeof value !== 'object' || Array.isArray(value))
    throw invalid(`${key} is ${quoted(value)}, no object of numbers by layer`);
  const rules = Object.entries(value).map(([expression, number]: [string, unknown]) => {
    if (!isValid(number))
      throw invalid(`${key}: ${quoted(expression)} is ${quoted(number)}, which is out of range`);
    return { pattern: compile(expression, key), number };
  });
  return (path) => rules.find(({ pattern }) => pattern.test(path))?.number;
}

function compile(expression: string, key: string): RegExp {
  const plain = expression.replace(/\\./g, '');
  const quantifiers = plain.match(/[*+?{]/g) ?? [];
  const isGroupRepeated = /\)[*+?{]/.test(plain);
  if (quantifiers.length > maxQuantifiers || isGroupRepeated || expression.length > 1000) {
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      `${key}: ${quoted(expression)} repeats more than emloc matches (up to ${maxQuantifiers} of * + ? {}, none after a group)`,
    );
  }
  try {
    return new RegExp(`^(?:.*\\.)?(?:${expression})$`);
  } catch (error) {
    const reason = `${key}: ${quoted(expression)} is no regular expression`;
    throw invalid(reason, { cause: error });
  }
}

function invalid(reason: string, options?: ErrorOptions): CheckpointError {
  return new CheckpointError('CHECKPOINT_ADAPTER_INVALID', reason, options);
}
