import { readdir, stat } from 'node:fs/promises';

import { errnoCode, fileError } from '../errors.js';

/** Whether a folder has weights, or an index of such. */
export async function hasWeights(folder: string): Promise<boolean> {
  const names = await namesIn(folder);
  return Array.isArray(names) && names.some((name) => /\.safetensors(\.|$)/.test(name));
}

/** Names in a folder; null: there is nothing. */
export async function namesIn(path: string): Promise<string[] | 'file' | null> {
  try {
    return (await stat(path)).isDirectory() ? (await readdir(path)).sort() : 'file';
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoCode(error) ?? '')) return null;
    throw fileError(error, path);
  }
}
