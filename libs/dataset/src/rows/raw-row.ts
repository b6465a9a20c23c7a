import { DatasetError, type RowError } from '../errors.js';

/** Longest row that is read, so that a file without ends of rows cannot fill the memory. */
export const maxRowBytes = 64 * 2 ** 20;

/** One row, not yet decoded. */
export interface RawRow {
  /** 1-based line of the file, element of its JSON array, or row of its table. */
  readonly number: number;
  /** Its JSON, in UTF-8. */
  readonly bytes: Uint8Array;
  /** Why there is no JSON of it. */
  readonly fault?: RowError;
}

export function isJsonSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

export function rowTooLong(path: string, number: number): DatasetError {
  return new DatasetError(
    'DATASET_UNREADABLE',
    `${path}:${number}: the row is longer than ${maxRowBytes} bytes`,
  );
}
