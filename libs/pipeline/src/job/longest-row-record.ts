import { readRecord } from './record.js';

/**
 * Tokens of the longest row that an adapter was trained with, which some rotary tables depend on; 0
 * for none, and for an adapter that does not say.
 * @throws CheckpointError where it has a record that cannot be read
 */
export async function recordedLongestRow(adapter: string | null): Promise<number> {
  const record = adapter === null ? null : await readRecord(adapter);
  const { data } = (record ?? {}) as { readonly data?: { readonly longestRow?: unknown } | null };
  const longest = data?.longestRow;
  return typeof longest === 'number' && Number.isSafeInteger(longest) && longest > 0 ? longest : 0;
}
