import type { EncodedRow } from './encoded-row.js';

/** Indices of rows by the row of the file that they are parts of; parts follow each other. */
export function sourcesOf(rows: readonly Pick<EncodedRow, 'line' | 'part'>[]): number[][] {
  const sources: number[][] = [];
  for (const [index, { line, part }] of rows.entries()) {
    const previous = rows[index - 1];
    const isNext = part !== undefined && previous?.part !== undefined && previous.part < part;
    if (isNext && previous.line === line) sources.at(-1)?.push(index);
    else sources.push([index]);
  }
  return sources;
}
