import { DatasetError } from '../errors.js';
import type { ImageTextOptions } from '../images/image-text-options.js';
import { isJsonSpace, type RawRow } from './raw-row.js';
import { readRows, type ReadRowsOptions } from './read-rows.js';
import { readRowSets, type RowSet } from './row-sets.js';

/** A row of a file of rows, or of a data set that the file lists. */
export interface SourcedRow extends RawRow {
  readonly set: RowSet | null;
}

export interface ReadSetsOptions extends ReadRowsOptions {
  readonly images: ImageTextOptions | null;
  /** Sees each data set of a list before its rows. */
  onSet?(set: RowSet): void;
}

/**
 * The rows of a file, or of all data sets that it lists, each as often as the list says.
 * `onBytes` sees every file once.
 * @throws DatasetError DATASET_UNREADABLE; the signal's reason when aborted
 */
export async function* readSets(
  path: string,
  { images, onSet, ...options }: ReadSetsOptions,
): AsyncGenerator<SourcedRow> {
  const list = await readRowSets(path, images);
  if (!list) {
    for await (const row of readRows(path, options)) yield { ...row, set: null };
    return;
  }
  options.onBytes?.(list.bytes);
  for (const set of list.sets) {
    onSet?.(set);
    try {
      for await (const row of repeatedRows(set, options)) yield { ...row, set };
    } catch (error) {
      throw error instanceof DatasetError ? ofSet(error, path, set) : error;
    }
  }
}

/** Whole times, and then as much of the beginning as is left of a time. */
async function* repeatedRows(
  { file, repeats }: RowSet,
  { signal, onBytes }: ReadRowsOptions,
): AsyncGenerator<RawRow> {
  const times = Math.floor(repeats);
  const part =
    repeats > times
      ? Math.trunc((await countRows(file, { signal, onBytes })) * (repeats - times))
      : 0;
  const isSeen = repeats > times;
  for (let time = 0; time < times; time += 1)
    yield* readRows(file, { signal, ...(time === 0 && !isSeen ? { onBytes } : {}) });
  let left = part;
  if (left === 0) return;
  for await (const row of readRows(file, { signal })) {
    if (isBlankRow(row)) continue;
    yield row;
    left -= 1;
    if (left === 0) return;
  }
}

async function countRows(file: string, options: ReadRowsOptions): Promise<number> {
  let count = 0;
  for await (const row of readRows(file, options)) if (!isBlankRow(row)) count += 1;
  return count;
}

function isBlankRow({ bytes }: RawRow): boolean {
  return bytes.every(isJsonSpace);
}

/** Paths of a list are for its owner. */
function ofSet(
  { code, message }: DatasetError,
  path: string,
  { number, file }: RowSet,
): DatasetError {
  const place = `${path}: data set ${number}`;
  return new DatasetError(code, message.replaceAll(file, place), {
    messageForOwner: `${place}: ${message}`,
  });
}
