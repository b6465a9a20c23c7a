import { posix } from 'node:path';
import { JsonTextError, parseJsonText } from '@emloc/untrusted';

import { DatasetError, RowError } from '../../errors.js';
import { decodeRow, isBlank } from '../../rows/decode-row.js';
import { readRows } from '../../rows/read-rows.js';
import type { ListedFile } from '../list-pictures.js';
import type { PictureProblem } from '../picture-problems.js';
import { readCsv } from './read-csv.js';

/** What files of metadata say of pictures. */
export interface Metadata {
  /** Captions by the name of the picture; blank where it is named without one. */
  readonly texts: ReadonlyMap<string, string>;
  readonly problems: readonly PictureProblem[];
}

/** A row of a file of metadata. */
interface Entry {
  /** 1-based. */
  readonly line: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Columns that hold captions, the surest first. */
const textFields = ['text', 'caption', 'prompt'];

/** @param files the first that names a picture wins */
export async function readMetadata(
  files: readonly ListedFile[],
  pictures: readonly ListedFile[],
): Promise<Metadata> {
  const reader = new MetadataReader(pictures);
  for (const file of files) await reader.read(file);
  return reader;
}

class MetadataReader implements Metadata {
  readonly texts = new Map<string, string>();
  readonly problems: PictureProblem[] = [];
  /** Names as they are, by their composed form: systems decompose accents. */
  readonly #names: ReadonlyMap<string, string>;

  constructor(pictures: readonly ListedFile[]) {
    this.#names = new Map(pictures.map(({ name }) => [name.normalize('NFC'), name]));
  }

  async read(file: ListedFile): Promise<void> {
    const own = new Map<string, string>();
    try {
      for await (const entry of entriesOf(file, this.problems)) this.#add(entry, file, own);
    } catch (error) {
      if (!(error instanceof DatasetError || error instanceof RowError)) throw error;
      this.#refuse(file.name, error.message.replace(`${file.path}: `, ''));
    }
    for (const [name, text] of own) if (!this.texts.has(name)) this.texts.set(name, text);
  }

  #add({ line, fields }: Entry, file: ListedFile, own: Map<string, string>): void {
    const place = `${file.name}:${line}`;
    try {
      const given = fileName(fields);
      const path = posix.join(posix.dirname(file.name), given);
      if (given.startsWith('/') || path === '..' || path.startsWith('../'))
        throw new RowError('file_name', 'lies outside the folder of pictures');
      const name = this.#names.get(path.normalize('NFC'));
      if (name === undefined)
        return this.#refuse(place, `file_name: ${given}: there is no such picture in the folder`);
      const text = textOf(fields);
      if (own.has(name) && own.get(name) !== text)
        throw new RowError('file_name', 'is named before, with another caption');
      own.set(name, text);
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      this.#refuse(place, [error.field, error.reason].filter(Boolean).join(' '));
    }
  }

  #refuse(place: string, reason: string): void {
    this.problems.push({ kind: 'metadata', place, reason });
  }
}

async function* entriesOf(file: ListedFile, problems: PictureProblem[]): AsyncGenerator<Entry> {
  if (file.name.endsWith('.csv')) return yield* readCsv(file.path);
  for await (const { number: line, bytes } of readRows(file.path)) {
    try {
      const text = decodeRow(bytes);
      if (!isBlank(text)) yield { line, fields: objectOf(text) };
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      problems.push({ kind: 'metadata', place: `${file.name}:${line}`, reason: error.reason });
    }
  }
}

function objectOf(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parseJsonText(text);
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    throw new RowError(null, `is not valid JSON: ${error.reason}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new RowError(null, 'is no JSON object');
}

function fileName({ file_name: name }: Entry['fields']): string {
  if (typeof name === 'string' && name !== '') return name;
  throw new RowError('file_name', name === undefined ? 'is missing' : 'must be text');
}

function textOf(fields: Entry['fields']): string {
  const field = textFields.find((each) => (fields[each] ?? null) !== null);
  const text = field === undefined ? '' : fields[field];
  if (typeof text !== 'string') throw new RowError(field ?? null, 'must be text');
  if (/\p{Surrogate}/u.test(text))
    throw new RowError(field ?? null, 'has half of a surrogate pair, which is no character');
  return text;
}
