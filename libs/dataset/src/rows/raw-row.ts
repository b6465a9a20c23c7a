import { DatasetError } from '../errors.js';

/** Longest row that is read, so that a file without ends of rows cannot fill the memory. */
export const maxRowBytes = 64 * 2 ** 20;

/** The bytes of one row, not yet decoded. */
export interface RawRow {
  /** 1-based line of the file, or element of its JSON array. */
  readonly number: number;
  readonly bytes: Uint8Array;
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
