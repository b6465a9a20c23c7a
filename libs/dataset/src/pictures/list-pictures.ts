import { readdir, realpath, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';

import { ImageRefusal, resolveImagePath, type ImageFolder } from '../images/image-folder.js';
import type { PictureProblem } from './picture-problems.js';

export interface ListedFile {
  /** Path within the folder, parted by slashes. */
  readonly name: string;
  /** Where it is read. */
  readonly path: string;
}

/** What a folder of pictures holds, before a file is opened. */
export interface PictureFiles {
  /** By the ends of their names. */
  readonly pictures: ListedFile[];
  /** Without an ending: only their content tells what they are. */
  readonly unknown: ListedFile[];
  /** Texts that may be captions. */
  readonly texts: ListedFile[];
  /** The one that wins first. */
  readonly metadata: ListedFile[];
  readonly problems: PictureProblem[];
  /** Files and folders whose names begin with a dot. */
  hidden: number;
  /** Files of other kinds. */
  others: number;
}

export interface ListOptions {
  readonly restrictToRoot: boolean;
  /** Folders that are left out, links followed. */
  readonly except: readonly string[];
  readonly signal?: AbortSignal;
}

const pictureEnding = /\.(png|jpe?g|jpe|jfif|webp|gif|tiff?|avif|bmp|hei[cf]|jxl|jp2)$/i;
const textEnding = /\.(txt|caption)$/i;
const metadataNames = ['metadata.jsonl', 'metadata.csv'];

/** Whether a name is one of a picture, whatever the file holds. */
export function hasPictureEnding(name: string): boolean {
  return pictureEnding.test(name);
}

/** All files of a folder and of the folders in it, by name. */
export async function listPictures(root: string, options: ListOptions): Promise<PictureFiles> {
  const lister = new Lister(root, options);
  await lister.list('');
  return sorted(lister.files);
}

class Lister {
  readonly files = noFiles();
  /** Folders that were listed, links followed: a link may lead to a folder above. */
  readonly #listed: Set<string>;
  readonly #folder: ImageFolder;

  constructor(
    root: string,
    private readonly options: ListOptions,
  ) {
    this.#folder = { root, within: options.restrictToRoot ? root : null };
    this.#listed = new Set(options.except);
  }

  async list(name: string): Promise<void> {
    const path = join(this.#folder.root, name);
    const real = await realpath(path);
    if (this.#listed.has(real)) return;
    this.#listed.add(real);
    const entries = (await readdir(path)).sort();
    for (const entry of entries) {
      this.options.signal?.throwIfAborted();
      if (entry.startsWith('.')) this.files.hidden += 1;
      else await this.#add(posix.join(name, entry));
    }
  }

  async #add(name: string): Promise<void> {
    try {
      const path = await resolveImagePath(name, this.#folder);
      const facts = await stat(path);
      if (facts.isDirectory()) await this.list(name);
      else this.#listOf(name, facts.isFile())?.push({ name, path });
    } catch (error) {
      const kind = pictureEnding.test(name) ? 'picture' : 'folder';
      this.files.problems.push({ kind, place: name, reason: reasonOf(error) });
    }
  }

  /** What is no regular file is told where it has a picture's name, else ignored. */
  #listOf(name: string, isFile: boolean): ListedFile[] | null {
    const base = posix.basename(name);
    if (pictureEnding.test(base)) return this.files.pictures;
    if (isFile && metadataNames.includes(base)) return this.files.metadata;
    if (isFile && textEnding.test(base)) return this.files.texts;
    if (isFile && !base.includes('.')) return this.files.unknown;
    this.files.others += 1;
    return null;
  }
}

export function noFiles(): PictureFiles {
  const lists = { pictures: [], unknown: [], texts: [], metadata: [], problems: [] };
  return { ...lists, hidden: 0, others: 0 };
}

/** Pictures by name; metadata from the folders within outwards, JSON before CSV. */
function sorted(files: PictureFiles): PictureFiles {
  const depth = ({ name }: ListedFile): number => name.split('/').length;
  const rank = ({ name }: ListedFile): number => metadataNames.indexOf(posix.basename(name));
  files.metadata.sort((a, b) => depth(b) - depth(a) || rank(a) - rank(b) || byName(a, b));
  return files;
}

/** By code units, whatever the machine's language is. */
export function byName(a: ListedFile, b: ListedFile): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function reasonOf(error: unknown): string {
  if (error instanceof ImageRefusal) return error.message;
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  return `cannot be read: ${code}`;
}
