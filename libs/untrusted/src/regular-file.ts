import { Buffer } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';

import { assertBearable, notRegular } from './file-refusal.js';

/** What is done with a file. `append` and `update` make it where there is none. */
type FileUse = 'read' | 'append' | 'update';

/** What appears in place of a file after it was looked at is not waited for. */
const flags: Readonly<Record<FileUse, number>> = Object.freeze({
  read: constants.O_RDONLY | constants.O_NONBLOCK,
  append: constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK,
  // Windows has neither.
  update: constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK | (constants.O_NOFOLLOW ?? 0),
});

/** How a file is opened. */
export interface OpenOptions {
  /** `update` never follows a link. Default: `read`. */
  readonly use?: FileUse;
  /** Permissions of a file that is made. */
  readonly mode?: number;
}

interface OpenedFile {
  readonly handle: FileHandle;
  readonly bytes: number;
  /** When its contents changed last, milliseconds since 1970. */
  readonly modifiedMs: number;
}

/**
 * Opens a file, never a pipe, a device or a folder: opening one may wait for ever, or do something.
 * @throws FileRefusal, or an error of the file system
 */
export async function openRegularFile(
  path: string,
  { use = 'read', mode = 0o666 }: OpenOptions = {},
): Promise<OpenedFile> {
  const before = await stat(path).catch((error: unknown) => absent(error, use));
  if (before?.isFile() === false) throw notRegular(path);
  const handle = await open(path, flags[use], mode).catch((error: unknown) => {
    throw unopened(error, path);
  });
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw notRegular(path);
    return { handle, bytes: info.size, modifiedMs: info.mtimeMs };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The same, at once. @returns the file's descriptor */
export function openRegularFileSync(
  path: string,
  { use = 'read', mode = 0o666 }: OpenOptions = {},
): { readonly file: number; readonly bytes: number } {
  const before = statOrNull(path, use);
  if (before?.isFile() === false) throw notRegular(path);
  const file = openOrRefuse(path, flags[use], mode);
  try {
    const info = fstatSync(file);
    if (!info.isFile()) throw notRegular(path);
    return { file, bytes: info.size };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function statOrNull(path: string, use: FileUse): Stats | null {
  try {
    return statSync(path);
  } catch (error) {
    return absent(error, use);
  }
}

function openOrRefuse(path: string, openFlags: number, mode: number): number {
  try {
    return openSync(path, openFlags, mode);
  } catch (error) {
    throw unopened(error, path);
  }
}

/** What is not there is made, unless it is read. */
function absent(error: unknown, use: FileUse): null {
  if (use !== 'read' && (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
  throw error;
}

/** A pipe that nobody reads, and that came after the look, cannot be written without waiting. */
function unopened(error: unknown, path: string): unknown {
  return (error as NodeJS.ErrnoException).code === 'ENXIO' ? notRegular(path) : error;
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
  const { file, bytes } = openRegularFileSync(path);
  try {
    assertBearable(path, bytes, maxBytes);
    const content = Buffer.allocUnsafe(bytes);
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
