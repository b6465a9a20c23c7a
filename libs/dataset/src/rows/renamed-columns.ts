import { get } from '@emloc/checked';

import { DatasetError, RowError } from '../errors.js';
import { readableColumns } from './form-columns.js';

/** What columns of a file are read as: the name that is read, and the file's. */
export type RenamedColumns = ReadonlyMap<string, string>;

/** Characters of a column's name that are told. */
const mostTold = 60;
/** Columns that are told of a row that has not the one that is looked for. */
const mostListed = 20;

/**
 * The columns of `prompt=question,completion=answer`: names that are read, each with that of a
 * column of the file, which may have any characters.
 * @throws DatasetError DATASET_INVALID_OPTION
 */
export function parseRenamedColumns(text: string): RenamedColumns {
  const renamed = new Map<string, string>();
  for (const each of text.split(new RegExp(`,(?=(?:${readableColumns.join('|')})=)`))) {
    const end = each.indexOf('=');
    const [name, source] = [each.slice(0, Math.max(0, end)), each.slice(end + 1)];
    if (!readableColumns.includes(name))
      throw wrong(`${told(name || each)} is not read, ${readableColumns.join(', ')} are`);
    if (source === '') throw wrong(`${name} is given no column`);
    if (renamed.has(name)) throw wrong(`${name} is given twice`);
    renamed.set(name, source);
  }
  return renamed;
}

/** The columns of a row under the names that they are read by. */
interface Renamed<T> {
  readonly entries: readonly (readonly [string, T])[];
  /** Columns of the row whose names another one has taken. */
  readonly hidden: readonly string[];
}

/** @throws RowError where a column is not there */
export function renameColumns<T>(row: ReadonlyMap<string, T>, renamed: RenamedColumns): Renamed<T> {
  for (const [name, source] of renamed)
    if (!row.has(source)) throw missing(name, source, [...row.keys()]);
  const sources = new Set(renamed.values());
  const others = [...row].filter(([name]) => !sources.has(name));
  const taken = [...renamed].map(([name, source]) => [name, get(row, source)] as const);
  return {
    entries: [...others.filter(([name]) => !renamed.has(name)), ...taken],
    hidden: others.map(([name]) => name).filter((name) => renamed.has(name)),
  };
}

function missing(name: string, source: string, names: readonly string[]): RowError {
  const listed = names.slice(0, mostListed).map(told).join(', ');
  const more = names.length > mostListed ? ` and ${names.length - mostListed} more` : '';
  return new RowError(
    name,
    `is to be the column ${told(source)}, which the row has not`,
    names.length === 0 ? 'it has none' : `it has ${listed}${more}`,
  );
}

function told(name: string): string {
  return JSON.stringify(name.length > mostTold ? `${name.slice(0, mostTold)}…` : name);
}

function wrong(reason: string): DatasetError {
  return new DatasetError('DATASET_INVALID_OPTION', `columns: ${reason}`);
}
