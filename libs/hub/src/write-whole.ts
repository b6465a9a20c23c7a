import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Writes a small file that others see whole or not at all; its folder is made. */
export async function writeWhole(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const beside = temporaryBeside(path);
  try {
    await writeFile(beside, text);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

/** A name of this process alone, in the same folder. */
export function temporaryBeside(path: string): string {
  return `${path}.${randomBytes(4).toString('hex')}.tmp`;
}
