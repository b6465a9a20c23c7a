import type { EncodedRow } from './encoded-row.js';

/** What tells which row of which file a row is, or is a part of. */
type Sourced = Pick<EncodedRow, 'file' | 'line' | 'part'>;

/** Indices of rows by the row of the file that they are parts of; parts follow each other. */
export function sourcesOf(rows: readonly Sourced[]): number[][] {
  const sources: number[][] = [];
  for (const [index, row] of rows.entries()) {
    const previous = rows[index - 1];
    if (previous && isNextPart(previous, row)) sources.at(-1)?.push(index);
    else sources.push([index]);
  }
  return sources;
}

function isNextPart(previous: Sourced, { file, line, part }: Sourced): boolean {
  const isLater = part !== undefined && previous.part !== undefined && previous.part < part;
  return isLater && previous.line === line && previous.file === file;
}
