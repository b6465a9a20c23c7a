import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import type { PackedFile } from '@emloc/untrusted';

import { EmlocError, fileFailed } from './errors.js';

/**
 * All files of a folder and of the folders in it, but for those whose names begin with a dot.
 * @throws EmlocError SDK_PATH_UNSAFE for what is neither: a link may lead to anything of this
 * machine
 */
export async function folderFiles(folder: string): Promise<PackedFile[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries.flatMap((entry) => {
      const path = join(entry.parentPath, entry.name);
      const name = relative(folder, path).split(sep).join('/');
      if (name.split('/').some((part) => part.startsWith('.')) || entry.isDirectory()) return [];
      if (entry.isFile()) return [{ name, path }];
      throw new EmlocError('SDK_PATH_UNSAFE', `${path} is a link or no file: not uploaded`);
    });
  } catch (cause) {
    throw cause instanceof EmlocError ? cause : fileFailed(`cannot read ${folder}`, cause);
  }
}
