import { constants } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';

import { ImageError } from './errors.js';
import { labelOf, type ImageInput } from './image-input.js';
import { maxFileBytes } from './limits.js';
import type { FileEnds } from './whole.js';

/** The first bytes of an image, and whether they are all of it. */
export interface ImageBytes {
  readonly bytes: Uint8Array;
  readonly isWhole: boolean;
}

/**
 * At most `limit` bytes from the start. Only regular files are opened, and never waited for: not a
 * FIFO, not a device.
 * @throws ImageError IMAGE_UNREADABLE, IMAGE_TOO_LARGE, IMAGE_DAMAGED where there are no bytes
 */
export async function readBytes(input: ImageInput, limit = maxFileBytes): Promise<ImageBytes> {
  const label = labelOf(input);
  if (input.kind === 'bytes') {
    assertBytes(input.bytes.length, label);
    return { bytes: input.bytes.subarray(0, limit), isWhole: input.bytes.length <= limit };
  }
  return withFile(input.path, label, async (handle, size) => ({
    bytes: await readPart(handle, 0, Math.min(size, limit)),
    isWhole: size <= limit,
  }));
}

/**
 * At most `limit` bytes from the start, and as many from the end.
 * @throws ImageError as `readBytes`
 */
export async function readEnds(input: ImageInput, limit: number): Promise<FileEnds> {
  const label = labelOf(input);
  if (input.kind === 'bytes') {
    const { bytes } = input;
    assertBytes(bytes.length, label);
    const tail = bytes.subarray(Math.max(0, bytes.length - limit));
    return { head: bytes.subarray(0, limit), tail, byteLength: bytes.length };
  }
  return withFile(input.path, label, async (handle, size) => {
    const length = Math.min(size, limit);
    const head = await readPart(handle, 0, length);
    const tail = length === size ? head : await readPart(handle, size - length, length);
    return { head, tail, byteLength: size };
  });
}

async function withFile<T>(
  path: string,
  label: string,
  read: (handle: FileHandle, size: number) => Promise<T>,
): Promise<T> {
  const handle = await openRegular(path, label);
  try {
    const { size } = await handle.stat();
    assertBytes(size, label);
    return await read(handle, size);
  } catch (error) {
    throw error instanceof ImageError ? error : unreadable(label, error);
  } finally {
    await handle.close();
  }
}

async function openRegular(path: string, label: string): Promise<FileHandle> {
  try {
    // Opening a device may do something; one that appears in between is not waited for.
    if (!(await stat(path)).isFile()) throw notRegular(label);
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
  } catch (error) {
    throw error instanceof ImageError ? error : unreadable(label, error);
  }
  throw notRegular(label);
}

async function readPart(handle: FileHandle, start: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, start + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

function assertBytes(count: number, label: string): void {
  if (count === 0) throw new ImageError('IMAGE_DAMAGED', `${label}: 0 bytes, no image`);
  if (count > maxFileBytes)
    throw new ImageError('IMAGE_TOO_LARGE', `${label}: ${count} bytes, at most ${maxFileBytes}`);
}

function notRegular(label: string): ImageError {
  return new ImageError('IMAGE_UNREADABLE', `${label}: is no regular file`);
}

function unreadable(label: string, cause: unknown): ImageError {
  const { code = String(cause) } = cause as { code?: string };
  return new ImageError('IMAGE_UNREADABLE', `${label}: cannot be read: ${code}`, { cause });
}
