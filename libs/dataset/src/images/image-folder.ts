import { realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';

/** Where images lie. */
export interface ImageFolder {
  /** Paths start here. */
  readonly root: string;
  /** Files that lie elsewhere, links followed, are refused; null: they may. */
  readonly within: string | null;
}

/** Why an image cannot be used; never holds its path. */
export class ImageRefusal extends Error {
  override readonly name = 'ImageRefusal';
}

/**
 * The file of an image, links followed where it matters where it lies.
 * @throws ImageRefusal
 */
export async function resolveImagePath(
  path: string,
  { root, within }: ImageFolder,
): Promise<string> {
  if (path.includes('\0')) throw new ImageRefusal('its path has a NUL character');
  const file = isAbsolute(path) ? path : join(root, path);
  if (within === null) return file;
  if (!isWithin(resolve(file), resolve(within))) throw outside();
  const [real, realRoot] = await Promise.all([linksFollowed(file), linksFollowed(within)]);
  if (!isWithin(real, realRoot)) throw outside();
  return real;
}

/** Whether a path is a folder or lies in it; both absolute. */
function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function outside(): ImageRefusal {
  return new ImageRefusal('lies outside the folder of images');
}

async function linksFollowed(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new ImageRefusal(`cannot be read: ${code}`);
  }
}
