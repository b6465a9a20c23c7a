import { createHash, type Hash } from 'node:crypto';
import { lstat, mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { openRegularFile } from '@emloc/untrusted';

import { EmlocError, fileFailed } from './errors.js';
import { throwIfCancelled, type Resumption } from './resumption.js';
import type { Artifact } from './values.js';
import type { JobCalls } from './watch.js';

/** Bytes so far, those found in a partial file included, of how many. */
export type OnTransfer = (doneBytes: number, totalBytes: number) => void;

export interface ArtifactSource {
  readonly calls: JobCalls;
  readonly artifact: Artifact;
  readonly signal: AbortSignal;
  readonly resumption: Resumption;
}

/**
 * The bytes of an artifact from `offset` on, over any number of connections. They are as the server
 * sends them: unchecked.
 */
async function* readBytes(source: ArtifactSource, offset: number): AsyncGenerator<Uint8Array> {
  const { artifact, resumption } = source;
  const cursor = { position: offset };
  while (cursor.position < artifact.sizeBytes) {
    try {
      yield* readParts(source, cursor);
      if (cursor.position < artifact.sizeBytes)
        throw corrupt(artifact, `it ended after ${cursor.position} of ${artifact.sizeBytes} bytes`);
    } catch (error) {
      await resumption.after(error);
    }
  }
}

/** The bytes of one connection. */
async function* readParts(
  { calls, artifact, signal, resumption }: ArtifactSource,
  cursor: { position: number },
): AsyncGenerator<Uint8Array> {
  for await (const { offsetBytes, data } of calls.downloadArtifact(
    { name: artifact.name, offsetBytes: BigInt(cursor.position) },
    { signal },
  )) {
    // What has arrived before an abort is not waited for.
    throwIfCancelled(signal);
    if (Number(offsetBytes) !== cursor.position)
      throw corrupt(
        artifact,
        `bytes from ${offsetBytes} came instead of those from ${cursor.position}`,
      );
    if (cursor.position + data.length > artifact.sizeBytes)
      throw corrupt(artifact, `it has more than ${artifact.sizeBytes} bytes`);
    if (data.length === 0) continue;
    cursor.position += data.length;
    resumption.progressed();
    yield data;
    if (cursor.position === artifact.sizeBytes) return;
  }
}

/** Like `readBytes` from the start, ending in an error when the hash is not the announced one. */
export async function* readChecked(
  source: ArtifactSource,
  offset: number,
): AsyncGenerator<Uint8Array> {
  const hash = offset === 0 ? createHash('sha256') : null;
  for await (const data of readBytes(source, offset)) {
    hash?.update(data);
    yield data;
  }
  if (hash && hash.digest('hex') !== source.artifact.sha256)
    throw corrupt(source.artifact, 'its hash is not the announced one');
}

/** How often a file is fetched from its start when its hash is wrong. */
const wholeAttempts = 3;

export interface FileTarget {
  readonly file: string;
  /** Replace another file that is there. */
  readonly overwrite: boolean;
  readonly onProgress?: OnTransfer;
}

/**
 * Writes an artifact to a file, whole or not at all. `FILE.part` holds what has arrived and is
 * taken up by the next call, also of another process; it stays when the call fails, unless its
 * contents are wrong. A file that is there already with the right contents is left as it is.
 */
export async function downloadToFile(
  source: ArtifactSource,
  { file, overwrite, onProgress }: FileTarget,
): Promise<void> {
  const { artifact } = source;
  const found = await contentsOf(file, artifact);
  if (found === 'same') return onProgress?.(artifact.sizeBytes, artifact.sizeBytes);
  if (found === 'other' && !overwrite)
    throw new EmlocError('SDK_OUTPUT_EXISTS', `${file} exists and is not ${artifact.path}`);
  const part = `${file}.part`;
  await mkdir(dirname(file), { recursive: true }).catch((cause: unknown) =>
    Promise.reject(fileFailed(`cannot create ${dirname(file)}`, cause)),
  );
  for (let attempt = 1; !(await fillPart(source, { part, onProgress })); attempt += 1) {
    await rm(part, { force: true });
    if (attempt === wholeAttempts)
      throw corrupt(artifact, `its hash was not the announced one ${wholeAttempts} times`);
  }
  await rename(part, file).catch((cause: unknown) =>
    Promise.reject(fileFailed(`cannot create ${file}`, cause)),
  );
}

/**
 * Fetches what the partial file lacks. Returns whether its contents are the artifact's; then they
 * are on the disk.
 */
async function fillPart(
  source: ArtifactSource,
  { part, onProgress }: { part: string; onProgress?: OnTransfer },
): Promise<boolean> {
  const { artifact } = source;
  const handle = await openPart(part);
  try {
    const hash = createHash('sha256');
    let position = await hashPrefix(handle, hash, artifact.sizeBytes);
    onProgress?.(position, artifact.sizeBytes);
    for await (const data of readBytes(source, position)) {
      await writeAt(handle, data, { part, position });
      hash.update(data);
      position += data.length;
      onProgress?.(position, artifact.sizeBytes);
    }
    if (hash.digest('hex') !== artifact.sha256) return false;
    await handle.sync();
    return true;
  } finally {
    await handle.close();
  }
}

/** Never through a symbolic link. */
async function openPart(part: string): Promise<FileHandle> {
  try {
    return (await openRegularFile(part, { use: 'update', mode: 0o644 })).handle;
  } catch (cause) {
    throw fileFailed(`cannot write ${part}`, cause);
  }
}

/** Hashes what an earlier call left. Returns its size; a file that is too long is emptied first. */
async function hashPrefix(handle: FileHandle, hash: Hash, maxBytes: number): Promise<number> {
  const { size } = await handle.stat();
  if (size > maxBytes) await handle.truncate(0);
  return size > maxBytes ? 0 : hashHandle(handle, hash);
}

async function hashHandle(handle: FileHandle, hash: Hash): Promise<number> {
  const buffer = Buffer.allocUnsafe(256 * 1024);
  for (let position = 0; ;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return position;
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
}

async function writeAt(
  handle: FileHandle,
  data: Uint8Array,
  { part, position }: { part: string; position: number },
): Promise<void> {
  try {
    for (let done = 0; done < data.length;) {
      const { bytesWritten } = await handle.write(data, done, data.length - done, position + done);
      done += bytesWritten;
    }
  } catch (cause) {
    throw fileFailed(`cannot write ${part}`, cause);
  }
}

/** What is where an artifact is to be. */
async function contentsOf(
  file: string,
  { sizeBytes, sha256 }: Artifact,
): Promise<'nothing' | 'same' | 'other'> {
  const found = await lstat(file).catch(() => null);
  if (!found) return 'nothing';
  if (!found.isFile() || found.size !== sizeBytes) return 'other';
  const handle = await open(file, 'r').catch((cause: unknown) =>
    Promise.reject(fileFailed(`cannot read ${file}`, cause)),
  );
  try {
    const hash = createHash('sha256');
    await hashHandle(handle, hash);
    return hash.digest('hex') === sha256 ? 'same' : 'other';
  } finally {
    await handle.close();
  }
}

function corrupt({ name }: Artifact, what: string): EmlocError {
  return new EmlocError('SDK_DOWNLOAD_CORRUPT', `${name}: ${what}`);
}
