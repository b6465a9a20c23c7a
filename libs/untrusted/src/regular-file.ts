import { Buffer } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';

import { assertBearable, notRegular } from './file-refusal.js';

/** What appears in place of a file after it was looked at is not waited for. */
const flags = constants.O_RDONLY | constants.O_NONBLOCK;

/**
 * Opens a file for reading, never a pipe, a device or a folder: opening one may wait for ever, or
 * do something.
 * @throws FileRefusal, or an error of the file system
 */
export async function openRegularFile(
  path: string,
): Promise<{ readonly handle: FileHandle; readonly bytes: number }> {
  if (!(await stat(path)).isFile()) throw notRegular(path);
  const handle = await open(path, flags);
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw notRegular(path);
    return { handle, bytes: info.size };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * The bytes of a file, as many as it has when it is opened.
 * @throws FileRefusal, or an error of the file system
 */
export async function readRegularFile(path: string, maxBytes: number): Promise<Buffer> {
  const { handle, bytes } = await openRegularFile(path);
  try {
    assertBearable(path, bytes, maxBytes);
    const content = Buffer.allocUnsafe(bytes);
    let filled = 0;
    while (filled < bytes) {
      const { bytesRead } = await handle.read(content, filled, bytes - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return content.subarray(0, filled);
  } finally {
    await handle.close();
  }
}

/** The same, at once. */
export function readRegularFileSync(path: string, maxBytes: number): Buffer {
  if (!statSync(path).isFile()) throw notRegular(path);
  const file = openSync(path, flags);
  try {
    const info = fstatSync(file);
    if (!info.isFile()) throw notRegular(path);
    assertBearable(path, info.size, maxBytes);
    const content = Buffer.allocUnsafe(info.size);
    let filled = 0;
    while (filled < content.length) {
      const read = readSync(file, content, filled, content.length - filled, filled);
      if (read === 0) break;
      filled += read;
    }
    return content.subarray(0, filled);
  } finally {
    closeSync(file);
  }
}
