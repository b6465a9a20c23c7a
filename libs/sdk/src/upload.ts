import { createHash } from 'node:crypto';
import { stat, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { UploadDatasetRequestSchema } from '@emloc/contracts';
import { ArchiveRefusal, openRegularFile, packFiles, type PackedFile } from '@emloc/untrusted';

import type { OnTransfer } from './download.js';
import { EmlocError, fileFailed } from './errors.js';
import { folderFiles } from './folder-files.js';
import { fromDataset } from './from-message.js';
import { throwIfCancelled, type Resumption } from './resumption.js';
import type { Dataset } from './values.js';
import type { JobCalls } from './watch.js';

/** Bytes that can be read more than once. */
export interface Content {
  readonly name: string;
  chunks(): AsyncIterable<Uint8Array>;
}

const chunkBytes = 256 * 1024;

/** What is uploaded: a file or a folder by its path, files that become one archive, or bytes. */
export type UploadedSource = string | readonly PackedFile[] | Uint8Array;

export function contentOf(source: UploadedSource): Content {
  if (typeof source === 'string')
    return { name: basename(source), chunks: () => pathChunks(source) };
  return source instanceof Uint8Array
    ? { name: '', chunks: () => sliced(source) }
    : { name: '', chunks: () => packed(source) };
}

async function* pathChunks(path: string): AsyncGenerator<Uint8Array> {
  const isFolder = await stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  yield* isFolder ? packed(await folderFiles(path)) : fileChunks(path);
}

/** @throws EmlocError SDK_PATH_UNSAFE for names that a deployment would refuse */
async function* packed(files: readonly PackedFile[]): AsyncGenerator<Uint8Array> {
  try {
    yield* packFiles(files);
  } catch (cause) {
    if (cause instanceof ArchiveRefusal)
      throw new EmlocError('SDK_PATH_UNSAFE', `cannot upload: ${cause.message}`, { cause });
    throw fileFailed('cannot read what is uploaded', cause);
  }
}

async function* fileChunks(file: string): AsyncGenerator<Uint8Array> {
  let handle: FileHandle | null = null;
  try {
    // Read twice, which a pipe cannot be.
    ({ handle } = await openRegularFile(file));
    for (;;) {
      const { bytesRead, buffer } = await handle.read(
        Buffer.allocUnsafe(chunkBytes),
        0,
        chunkBytes,
        null,
      );
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (cause) {
    throw fileFailed(`cannot read ${file}`, cause);
  } finally {
    await handle?.close();
  }
}

async function* sliced(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += chunkBytes)
    yield bytes.subarray(start, start + chunkBytes);
}

export interface UploadSource {
  readonly calls: JobCalls;
  readonly content: Content;
  readonly displayName: string;
  readonly signal: AbortSignal;
  readonly resumption: Resumption;
  readonly onProgress?: OnTransfer;
}

interface Announcement {
  readonly sizeBytes: number;
  readonly sha256: string;
}

/**
 * Sends everything, at the speed of the server, and again from the start when the connection broke.
 */
export async function upload(source: UploadSource): Promise<Dataset> {
  const { calls, content, signal, resumption } = source;
  const announced = await measure(content, signal);
  for (;;) {
    try {
      return fromDataset(await calls.uploadDataset(requests(source, announced), { signal }));
    } catch (error) {
      await resumption.after(error);
    }
  }
}

async function measure(content: Content, signal: AbortSignal): Promise<Announcement> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of content.chunks()) {
    throwIfCancelled(signal);
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

async function* requests(
  source: UploadSource,
  announced: Announcement,
): AsyncGenerator<MessageInitShape<typeof UploadDatasetRequestSchema>> {
  const { content, displayName, onProgress } = source;
  const upload = { displayName, sizeBytes: BigInt(announced.sizeBytes), sha256: announced.sha256 };
  yield { content: { case: 'upload', value: upload } };
  const hash = createHash('sha256');
  let sentBytes = 0;
  onProgress?.(0, announced.sizeBytes);
  for await (const chunk of content.chunks()) {
    hash.update(chunk);
    yield { content: { case: 'data', value: chunk } };
    sentBytes += chunk.length;
    onProgress?.(sentBytes, announced.sizeBytes);
  }
  if (sentBytes !== announced.sizeBytes || hash.digest('hex') !== announced.sha256) {
    throw new EmlocError(
      'SDK_FILE_CHANGED',
      `${content.name || 'the data'} changed while it was uploaded`,
    );
  }
}
