import { RowError } from '../errors.js';
import type { PyDict, PyValue } from '../jinja/index.js';
import type { RowContent } from './dataset-row.js';
import { kindOf } from './kind-of.js';

/** `instruction`, `input` (absent, null or empty: there is none) and `output`. @throws RowError */
export function instructionOf(row: PyDict): RowContent {
  return {
    kind: 'instruction',
    instruction: textOf(row, 'instruction'),
    input: (row.get('input') ?? null) === null ? '' : textOf(row, 'input'),
    output: textOf(row, 'output'),
  };
}

/** `text` alone, which is not empty. @throws RowError */
export function plainTextRow(row: PyDict): RowContent {
  const text = textOf(row, 'text');
  if (text === '') throw new RowError('text', 'is empty');
  return { kind: 'text', text };
}

function textOf(row: PyDict, name: string): string {
  const value: PyValue = row.get(name) ?? null;
  if (value === null) throw new RowError(name, 'is missing');
  if (typeof value !== 'string') throw new RowError(name, `must be text, is ${kindOf(value)}`);
  return value;
}
