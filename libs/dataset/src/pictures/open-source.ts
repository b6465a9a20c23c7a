import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { ImageError, inspectImage } from '@emloc/images';
import { openRegularFile } from '@emloc/untrusted';

import { DatasetError } from '../errors.js';
import { ImageRefusal, resolveImagePath } from '../images/image-folder.js';
import {
  byName,
  listPictures,
  noFiles,
  type ListedFile,
  type ListOptions,
  type PictureFiles,
} from './list-pictures.js';

/** What a path of pictures leads to, links followed; null: to one picture. */
export async function folderOf(path: string): Promise<string | null> {
  try {
    return (await stat(path)).isDirectory() ? await realpath(path) : null;
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    throw unreadable(path, `cannot be read: ${code}`, error);
  }
}

/**
 * Files of a folder of pictures, or of one picture with the text beside it.
 * @throws DatasetError DATASET_UNREADABLE
 */
export async function openSource(path: string, options: ListOptions): Promise<PictureFiles> {
  const folder = await folderOf(path);
  if (folder === null) return onePicture(path, options);
  try {
    return await withUnknown(await listPictures(folder, options));
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    // Reasons of signals have codes, too: numbers.
    throw typeof code === 'string' ? unreadable(path, `cannot be read: ${code}`, error) : error;
  }
}

/** Files without an ending are pictures where their content says so. */
async function withUnknown(files: PictureFiles): Promise<PictureFiles> {
  for (const file of files.unknown)
    if ((await otherThanPicture(file.path)) === null) files.pictures.push(file);
    else files.others += 1;
  files.pictures.sort(byName);
  return files;
}

async function onePicture(path: string, { restrictToRoot }: ListOptions): Promise<PictureFiles> {
  const other = await otherThanPicture(path);
  if (other !== null)
    throw unreadable(path, `a folder of pictures or a picture is expected: ${await kindOf(path)}`);
  const root = dirname(path);
  const within = { root, within: restrictToRoot ? root : null };
  const find = async (name: string): Promise<ListedFile> => ({
    name,
    path: await resolveImagePath(name, within),
  });
  const stem = basename(path, extname(path));
  try {
    const texts: ListedFile[] = [];
    for (const name of [`${stem}.txt`, `${stem}.caption`])
      if (await isFile(join(root, name))) texts.push(await find(name));
    return { ...noFiles(), pictures: [await find(basename(path))], texts };
  } catch (error) {
    throw error instanceof ImageRefusal ? unreadable(path, error.message, error) : error;
  }
}

/** Why content is no picture of a known format; null where it is one, damaged or not. */
async function otherThanPicture(path: string): Promise<string | null> {
  try {
    await inspectImage({ kind: 'file', path, label: '' }, { exifOrientation: false });
    return null;
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    return ['IMAGE_UNSUPPORTED_FORMAT', 'IMAGE_UNREADABLE'].includes(error.code)
      ? error.message.replace(/^: /, '')
      : null;
  }
}

const unpack = 'which must be unpacked first';

/** Files that people give in place of a folder, by how they begin. */
const kinds: readonly (readonly [start: string, kind: string])[] = [
  ['PK\x03\x04', `it is a zip archive, ${unpack}`],
  ['7z\xbc\xaf', `it is a 7z archive, ${unpack}`],
  ['Rar!', `it is a rar archive, ${unpack}`],
  ['\x1f\x8b', `it is compressed by gzip, ${unpack}`],
  ['\xfd7zXZ', `it is compressed by xz, ${unpack}`],
  ['\x28\xb5\x2f\xfd', `it is compressed by zstd, ${unpack}`],
  ['PAR1', 'it is a Parquet file, whose pictures must be written as files first'],
  ['{', 'it is a file of rows'],
  ['[', 'it is a file of rows'],
];

const [tarMark, tarMarkOffset] = ['ustar', 257];

async function kindOf(path: string): Promise<string> {
  const other = await otherThanPicture(path);
  const start = await beginningOf(path);
  if (start.startsWith(tarMark, tarMarkOffset)) return `it is a tar archive, ${unpack}`;
  return kinds.find(([mark]) => start.startsWith(mark))?.[1] ?? `it ${other ?? 'is none'}`;
}

async function beginningOf(path: string): Promise<string> {
  if (!(await isFile(path))) return '';
  const { handle } = await openRegularFile(path);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(512), 0, 512, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (facts) => facts.isFile(),
    () => false,
  );
}

function unreadable(path: string, reason: string, cause?: unknown): DatasetError {
  return new DatasetError('DATASET_UNREADABLE', `${path}: ${reason}`, { cause });
}
