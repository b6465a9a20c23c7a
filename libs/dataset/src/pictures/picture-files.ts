import { hasPictureEnding, type ListedFile } from './list-pictures.js';
import { folderOf, openSource } from './open-source.js';
import { invalidPictures } from './picture-problems.js';

/**
 * What `readPictures` reads of a folder of pictures, or of one picture: pictures, texts that may be
 * their captions, and metadata. None lies elsewhere, links followed.
 * @param other path whose folder is left out, if it lies in this one
 * @throws DatasetError DATASET_UNREADABLE, DATASET_INVALID_PICTURES; the signal's reason
 */
export async function pictureFiles(
  path: string,
  { other, signal }: { readonly other?: string | null; readonly signal?: AbortSignal } = {},
): Promise<ListedFile[]> {
  const apart = other ? await folderOf(other) : null;
  const except = apart === null || apart === (await folderOf(path)) ? [] : [apart];
  const options = { restrictToRoot: true, except, ...(signal ? { signal } : {}) };
  const { pictures, texts, metadata, problems } = await openSource(path, options);
  if (problems.length > 0) throw invalidPictures(path, problems);
  return [...pictures, ...texts, ...metadata];
}

/** Whether a path is one of pictures rather than of rows: a folder, or a picture by its name. */
export async function leadsToPictures(path: string): Promise<boolean> {
  return hasPictureEnding(path) || (await folderOf(path).catch(() => null)) !== null;
}
