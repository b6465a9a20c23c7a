import { RowError } from '../errors.js';
import { PyDict, type PyValue } from '../jinja/index.js';

/** With the flag u, a pair is one character, and no surrogate. */
const halfPair = /\p{Surrogate}/u;

/** Half of a surrogate pair can only come from an escape: UTF-8 has none. */
const surrogateEscape = /\\u[dD][89a-fA-F]/;

/**
 * Refuses half of a surrogate pair, which no tokenizer can take.
 * @param text the JSON that the row was read from
 * @throws RowError naming the field
 */
export function assertWellFormed(row: PyDict, text: string): void {
  if (!surrogateEscape.test(text)) return;
  const field = illFormedField(row, '');
  if (field !== null)
    throw new RowError(
      field === '' ? null : field,
      'has half of a surrogate pair, which is no character',
    );
}

/** Iterative, since JSON may nest deeply. */
function illFormedField(root: PyValue, rootField: string): string | null {
  const waiting: [PyValue, string][] = [[root, rootField]];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [value, field] = next;
    if (typeof value === 'string' && halfPair.test(value)) return field;
    if (Array.isArray(value))
      for (const [index, element] of [...value.entries()].reverse())
        waiting.push([element, `${field}[${index}]`]);
    if (value instanceof PyDict)
      for (const [key, element] of [...value.entries()].reverse()) {
        if (typeof key === 'string' && halfPair.test(key)) return field;
        waiting.push([element, field === '' ? String(key) : `${field}.${String(key)}`]);
      }
  }
  return null;
}
