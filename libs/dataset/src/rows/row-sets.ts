import { dirname, resolve } from 'node:path';
import { readRegularFile } from '@emloc/untrusted';

import { DatasetError, type RowSetName } from '../errors.js';
import { ImageRefusal, resolveImagePath } from '../images/image-folder.js';
import type { ImageTextOptions } from '../images/image-text-options.js';
import { JsonSyntaxError, parseJson, PyDict, PyFloat, type PyValue } from '../jinja/index.js';
import { kindOf } from './kind-of.js';

/** One of the data sets that a file lists. */
export interface RowSet extends RowSetName {
  /** Folder that paths of its images start from. */
  readonly root: string;
  /** How often its rows are taken; the part of a time is as much of their beginning. */
  readonly repeats: number;
  /** In place of the model's; null: that. */
  readonly maxTiles: number | null;
  /** Whether its images are to be changed at random, which is not done here. */
  readonly isAugmented: boolean;
}

/** No longer file lists data sets. */
const maxListBytes = 4 * 2 ** 20;
const mostRepeats = 1000;
const mostTiles = 1024;

/**
 * The data sets of a file that is one JSON object of `{name: {annotation, root, ...}}`, in its
 * order; null for a file of rows.
 * @throws DatasetError DATASET_UNREADABLE where one of them is not of the expected form
 */
export async function readRowSets(
  path: string,
  images: ImageTextOptions | null,
): Promise<{ readonly sets: readonly RowSet[]; readonly bytes: Uint8Array } | null> {
  const bytes = await smallFile(path);
  const list =
    bytes &&
    listOf(
      Buffer.from(bytes)
        .toString('utf8')
        .replace(/^\uFEFF/, ''),
    );
  if (!bytes || !list) return null;
  const sets: RowSet[] = [];
  for (const [name, entry] of list.entries())
    sets.push(
      await new SetReader({ path, name: String(name), number: sets.length + 1 }, images).read(
        entry,
      ),
    );
  return { sets, bytes };
}

/** Whether a file lists data sets. */
export async function isListOfSets(path: string): Promise<boolean> {
  const bytes = await smallFile(path);
  return bytes !== null && listOf(Buffer.from(bytes).toString('utf8')) !== null;
}

/** Null for what is large, no regular file, or cannot be read: its reader says why. */
async function smallFile(path: string): Promise<Uint8Array | null> {
  return readRegularFile(path, maxListBytes).catch(() => null);
}

function listOf(text: string): PyDict | null {
  if (!/^\s*\{/.test(text) || !text.includes('"annotation"')) return null;
  try {
    const value = parseJson(text);
    return value instanceof PyDict && [...value.values()].some(isSet) ? value : null;
  } catch (error) {
    if (error instanceof JsonSyntaxError) return null;
    throw error;
  }
}

function isSet(value: PyValue): boolean {
  return value instanceof PyDict && typeof value.get('annotation') === 'string';
}

interface SetPlace {
  /** Of the list. */
  readonly path: string;
  readonly name: string;
  readonly number: number;
}

class SetReader {
  constructor(
    private readonly place: SetPlace,
    private readonly images: ImageTextOptions | null,
  ) {}

  async read(entry: PyValue): Promise<RowSet> {
    if (!(entry instanceof PyDict)) throw this.#wrong(`must be an object, is ${kindOf(entry)}`);
    const { path, number } = this.place;
    const base = this.images?.imageRoot ?? dirname(path);
    const value = (name: string): PyValue => entry.get(name) ?? null;
    return {
      number,
      file: await this.#fileOf(value('annotation')),
      root: resolve(base, this.#rootOf(value('root'))),
      repeats: this.#number('repeat_time', value('repeat_time'), mostRepeats) ?? 1,
      maxTiles: this.#tilesOf(value('max_dynamic_patch')),
      isAugmented: value('data_augment') === true,
    };
  }

  async #fileOf(value: PyValue): Promise<string> {
    if (typeof value !== 'string' || value === '')
      throw this.#wrong(`annotation must be a path, is ${kindOf(value)}`);
    const root = dirname(resolve(this.place.path));
    const { restrictToRoot = false, imageRoot = null } = this.images ?? {};
    const within = restrictToRoot ? resolve(imageRoot ?? root) : null;
    try {
      return await resolveImagePath(value, { root, within });
    } catch (error) {
      if (error instanceof ImageRefusal) throw this.#wrong(`annotation ${error.message}`);
      throw error;
    }
  }

  #rootOf(value: PyValue): string {
    if (value === null) return '';
    if (typeof value === 'string' && !value.includes('\0')) return value;
    throw this.#wrong(`root must be a path, is ${kindOf(value)}`);
  }

  #tilesOf(value: PyValue): number | null {
    const tiles = this.#number('max_dynamic_patch', value, mostTiles);
    if (tiles === null || (Number.isInteger(tiles) && tiles >= 1)) return tiles;
    throw this.#wrong(`max_dynamic_patch is ${tiles}, a whole number from 1 is needed`);
  }

  #number(name: string, value: PyValue, most: number): number | null {
    const number = value instanceof PyFloat ? value.value : value;
    if (number === null) return null;
    if (typeof number !== 'number') throw this.#wrong(`${name} must be a number`);
    if (number >= 0 && number <= most) return number;
    throw this.#wrong(`${name} is ${number}, a number from 0 to ${most} is needed`);
  }

  #wrong(reason: string): DatasetError {
    const { path, name, number } = this.place;
    return new DatasetError('DATASET_UNREADABLE', `${path}: data set ${number}: ${reason}`, {
      messageForOwner: `${path}: data set ${number} (${name.slice(0, 100)}): ${reason}`,
    });
  }
}
