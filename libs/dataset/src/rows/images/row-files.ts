import { dirname, isAbsolute, posix, resolve, sep } from 'node:path';

import { DatasetError, RowError } from '../../errors.js';
import { ImageRefusal, resolveImagePath } from '../../images/image-folder.js';
import type { ListedFile } from '../../pictures/list-pictures.js';
import { isBlank, textOfRow } from '../decode-row.js';
import type { RawRow } from '../raw-row.js';
import { readRows } from '../read-rows.js';
import { parseRenamedColumns } from '../renamed-columns.js';
import { isListOfSets } from '../row-sets.js';
import { parseRow, type RowRules } from '../row.js';
import type { ImageReference } from './image-reference.js';

export interface RowFilesOptions {
  /** As of `loadDataset`. */
  readonly columns?: string | null;
  readonly signal?: AbortSignal;
}

/**
 * The image files that rows name, by their paths from the folder of the file of rows: what has to
 * go along where the rows go. Rows that cannot be read are passed over, whoever reads them tells.
 * @throws DatasetError DATASET_UNREADABLE for a file that cannot be read or lists data sets,
 * DATASET_INVALID_ROW for an image that does not lie in the folder; the signal's reason
 */
export async function rowFiles(
  path: string,
  { columns = null, signal }: RowFilesOptions = {},
): Promise<ListedFile[]> {
  if (await isListOfSets(path))
    throw new DatasetError(
      'DATASET_UNREADABLE',
      `${path}: lists data sets by their paths: a file of rows is needed here`,
    );
  const rules = {
    takesImages: true,
    columns: columns === null ? null : parseRenamedColumns(columns),
  };
  const root = dirname(resolve(path));
  const files = new Map<string, ListedFile>();
  for await (const row of readRows(path, signal ? { signal } : {}))
    for (const { source, field } of imagesOf(row, rules)) {
      if (source.kind !== 'path') continue;
      const name = posix.normalize(source.path.split(sep).join('/'));
      if (files.has(name)) continue;
      try {
        files.set(name, { name, path: await fileIn(root, source.path) });
      } catch (error) {
        if (!(error instanceof ImageRefusal)) throw error;
        throw new DatasetError(
          'DATASET_INVALID_ROW',
          `${path}:${row.number}: ${field}: ${error.message}`,
          { cause: error },
        );
      }
    }
  return [...files.values()];
}

function imagesOf(row: RawRow, rules: RowRules): readonly ImageReference[] {
  if (!rules.columns && !mayShowImages(row)) return [];
  try {
    const text = textOfRow(row);
    return isBlank(text) ? [] : parseRow(text, rules).images;
  } catch (error) {
    if (error instanceof RowError) return [];
    throw error;
  }
}

/** Whether a row has the name of a column or a part of an image, of which most have none. */
function mayShowImages({ bytes }: RawRow): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes('image');
}

/** @throws ImageRefusal */
async function fileIn(root: string, path: string): Promise<string> {
  if (isAbsolute(path))
    throw new ImageRefusal(
      'its path is absolute: what is sent along is named from the folder of the rows',
    );
  return resolveImagePath(path, { root, within: root });
}
