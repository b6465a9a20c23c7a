import { constants } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';

import { ImageError } from './errors.js';
import { labelOf, type ImageInput } from './image-input.js';
import { maxFileBytes } from './limits.js';

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
  const handle = await openRegular(input.path, label);
  try {
    const { size } = await handle.stat();
    assertBytes(size, label);
    return { bytes: await readStart(handle, Math.min(size, limit)), isWhole: size <= limit };
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

async function readStart(handle: FileHandle, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, filled);
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
