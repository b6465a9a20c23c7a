import { mkdir, rm } from 'node:fs/promises';

import { lockBlob } from './blob-lock.js';
import { sizeOf, type RepoCache } from './cache-layout.js';
import { cut, HubError } from './errors.js';
import type { OpenAnswer } from './hub-client.js';
import type { Asking } from './listing.js';
import { leftPartials, PartialFile } from './partial-file.js';
import { blobName, type RepoFile } from './repo-file.js';
import { PassingError, retried } from './retry.js';

export interface BlobDownload extends Asking {
  readonly name: string;
  readonly commit: string;
  readonly cache: RepoCache;
  /** Bytes that are there now and were not before; negative where they had to go. */
  readonly onBytes: (bytes: number) => void;
  readonly onNotice: (message: string) => void;
}

/**
 * Brings a file's contents into the cache, whole and checked by their hash. What an interruption
 * leaves is gone on with the next time.
 * @throws HubError; what the signal was aborted with
 */
export async function downloadBlob(file: RepoFile, download: BlobDownload): Promise<void> {
  const { cache, name, signal, onBytes, onNotice } = download;
  const lock = await lockBlob(cache.lockPath(file), {
    signal,
    onWait: () => onNotice(`waiting for another process that downloads ${file.path} of ${name}`),
  });
  try {
    const found = await sizeOf(cache.blobPath(file));
    if (found === file.sizeBytes) return onBytes(file.sizeBytes);
    if (found !== null) await rm(cache.blobPath(file));
    await mkdir(cache.blobsFolder, { recursive: true });
    await fetchBlob(file, download, lock);
  } finally {
    await lock.release();
  }
}

async function fetchBlob(
  file: RepoFile,
  download: BlobDownload,
  lock: { readonly isExclusive: boolean },
): Promise<void> {
  const { cache, onBytes, onNotice } = download;
  const partial = await PartialFile.open(cache.blobsFolder, file, lock);
  let isWhole = false;
  try {
    const resumedBytes = partial.sizeBytes;
    onBytes(resumedBytes);
    await fetchRest(partial, file, download);
    if (!isIntact(partial, file) && resumedBytes > 0) {
      onNotice(`${file.path}: what was there before is damaged; it is downloaded again`);
      await restart(partial, onBytes);
      await fetchRest(partial, file, download);
    }
    await assertIntact(partial, file, download);
    await partial.finish(cache.blobPath(file));
    isWhole = true;
  } finally {
    if (!isWhole) await partial.close();
  }
  // Nobody else downloads this blob: these are leftovers.
  if (lock.isExclusive)
    for (const { path } of await leftPartials(cache.blobsFolder, file, lock))
      await rm(path, { force: true });
}

async function fetchRest(
  partial: PartialFile,
  file: RepoFile,
  download: BlobDownload,
): Promise<void> {
  let before = partial.sizeBytes;
  await retried(`${file.path} of ${download.name}`, () => fetchOnce(partial, file, download), {
    ...download,
    hasProgressed: () => {
      const hasMore = partial.sizeBytes > before;
      before = partial.sizeBytes;
      return hasMore;
    },
  });
}

/** @throws PassingError where less than the rest came */
async function fetchOnce(
  partial: PartialFile,
  file: RepoFile,
  download: BlobDownload,
): Promise<void> {
  if (partial.sizeBytes === file.sizeBytes) return;
  const answer = await openRest(partial, file, download);
  try {
    assertSameFile(answer, file, download);
    if (!continues(answer, partial.sizeBytes)) await restart(partial, download.onBytes);
    for await (const chunk of answer.body()) {
      if (partial.sizeBytes + chunk.length > file.sizeBytes) {
        await restart(partial, download.onBytes);
        throw corrupt(file, download, `more than the ${file.sizeBytes} bytes of the listing came`);
      }
      await partial.append(chunk);
      download.onBytes(chunk.length);
    }
  } finally {
    answer.close();
  }
  if (partial.sizeBytes < file.sizeBytes)
    throw new PassingError(
      `the connection ended after ${partial.sizeBytes} of ${file.sizeBytes} bytes`,
      null,
    );
}

/** Asks for what is missing; for everything, where a server cannot go on from there. */
async function openRest(
  partial: PartialFile,
  file: RepoFile,
  { client, name, commit, signal, onBytes }: BlobDownload,
): Promise<OpenAnswer> {
  const path = file.path.split('/').map(encodeURIComponent).join('/');
  const offset = partial.sizeBytes;
  const request = {
    url: `${client.endpoint}/${name}/resolve/${commit}/${path}`,
    model: name,
    file: file.path,
    signal,
  };
  if (offset === 0) return client.open(request);
  try {
    return await client.open({
      ...request,
      headers: { range: `bytes=${offset}-` },
      // Others than the hub have ETags of their own; there the hash of the whole tells.
      hubHeaders: { 'if-range': `"${blobName(file)}"` },
    });
  } catch (error) {
    if (!(error instanceof HubError) || error.code !== 'HUB_RESPONSE_INVALID') throw error;
    await restart(partial, onBytes);
    return client.open(request);
  }
}

/** Whether an answer begins where the partial file ends. */
function continues(answer: OpenAnswer, offset: number): boolean {
  if (answer.status !== 206) return offset === 0;
  const start = /^bytes (\d+)-/.exec(answer.header('content-range') ?? '')?.[1];
  return start === String(offset);
}

/** The hub says of a file what it has listed. @throws HubError HUB_RESPONSE_INVALID */
function assertSameFile(answer: OpenAnswer, file: RepoFile, download: BlobDownload): void {
  const etag = answer.hubHeader('x-linked-etag');
  const size = answer.hubHeader('x-linked-size');
  const isOther =
    (etag !== null && etag.replace(/^W\/|"/g, '') !== blobName(file)) ||
    (size !== null && Number(size) !== file.sizeBytes);
  if (!isOther) return;
  throw new HubError(
    'HUB_RESPONSE_INVALID',
    `${file.path} of ${download.name}: the hub announces ${cut(size ?? '?')} bytes with hash ${cut(etag ?? '?')}, its listing ${file.sizeBytes} bytes with ${blobName(file)}`,
  );
}

async function restart(partial: PartialFile, onBytes: (bytes: number) => void): Promise<void> {
  onBytes(-partial.sizeBytes);
  await partial.restart();
}

function isIntact(partial: PartialFile, file: RepoFile): boolean {
  return partial.digest() === blobName(file);
}

/** Deletes a file whose contents are not those that were announced. @throws HubError */
async function assertIntact(
  partial: PartialFile,
  file: RepoFile,
  download: BlobDownload,
): Promise<void> {
  if (isIntact(partial, file)) return;
  const found = partial.digest();
  await restart(partial, download.onBytes);
  const kind = file.sha256 === null ? 'SHA-1 of git' : 'SHA-256';
  throw corrupt(file, download, `its ${kind} is ${found}, the hub announces ${blobName(file)}`);
}

function corrupt(file: RepoFile, { name }: BlobDownload, what: string): HubError {
  return new HubError('HUB_FILE_CORRUPT', `${file.path} of ${name}: ${what}; it was deleted`);
}
