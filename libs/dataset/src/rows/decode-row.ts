import { RowError } from '../errors.js';
import type { RawRow } from './raw-row.js';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The JSON of a row. @throws RowError for what is none, or not UTF-8 */
export function textOfRow({ bytes, fault }: RawRow): string {
  if (fault) throw fault;
  return decodeRow(bytes);
}

/** @throws RowError for what is not UTF-8 */
export function decodeRow(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new RowError(null, 'is not valid UTF-8');
  }
}

/** Whether a row has nothing but white space of JSON. */
export function isBlank(text: string): boolean {
  return /^[ \t\r\n]*$/.test(text);
}
