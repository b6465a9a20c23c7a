import { createHash } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { isNatsError, rangeSource, type ObjectBucket, type StoredObject } from '@emloc/nats';
import { RpcError } from '@emloc/rpc';
import { Mailbox } from '@emloc/time';

import type { ArtifactRecord } from './jobs/record.js';

/** Name of a job's file in the bucket of artifacts. */
export function artifactKey(job: string, path: string): string {
  return `${job}/${path}`;
}

/** Stores every file of a folder as an artifact of a job; again replaces them. */
export async function uploadFolder(
  bucket: ObjectBucket,
  job: string,
  folder: string,
  signal: AbortSignal,
): Promise<readonly ArtifactRecord[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort();
  const artifacts: ArtifactRecord[] = [];
  for (const path of paths)
    artifacts.push(
      await uploadFile(bucket, job, {
        path,
        name: relative(folder, path).split(sep).join('/'),
        signal,
      }),
    );
  return artifacts;
}

async function uploadFile(
  bucket: ObjectBucket,
  job: string,
  { path, name, signal }: { path: string; name: string; signal: AbortSignal },
): Promise<ArtifactRecord> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const hash = createHash('sha256');
    const source = rangeSource(size, async (offset, target) => {
      const { bytesRead } = await file.read(target, 0, target.length, offset);
      if (bytesRead !== target.length)
        throw new RpcError(
          'DATA_LOSS',
          `${name}: ${bytesRead} of ${target.length} bytes could be read at ${offset}`,
        );
      hash.update(target);
    });
    const stored = await bucket.put(artifactKey(job, name), source, { signal });
    return { path: name, sizeBytes: size, sha256: hash.digest('hex'), createTime: stored.modified };
  } finally {
    await file.close();
  }
}

/** A DownloadArtifactResponse. */
interface Part {
  readonly offsetBytes: bigint;
  readonly data: Uint8Array;
}

/**
 * An artifact's bytes from `offset` on, read from the bucket as fast as they are taken. What is
 * stored must be what the job's record says: its hash is compared before the first byte, and the
 * bytes themselves are hashed where all of them are read.
 * @throws RpcError OUT_OF_RANGE, NOT_FOUND, DATA_LOSS; the signal's reason
 */
export async function* downloadArtifact(
  bucket: ObjectBucket,
  job: string,
  { artifact, offset, signal }: { artifact: ArtifactRecord; offset: number; signal: AbortSignal },
): AsyncGenerator<Part> {
  if (offset > artifact.sizeBytes)
    throw new RpcError(
      'OUT_OF_RANGE',
      `offset_bytes: ${offset} given, ${artifact.path} has ${artifact.sizeBytes} bytes`,
      { reason: 'OFFSET_OUT_OF_RANGE' },
    );
  const key = artifactKey(job, artifact.path);
  const found = await bucket.info(key);
  if (!found) throw artifactNotFound(artifact);
  assertAsRecorded(found, artifact);
  if (offset === artifact.sizeBytes) return;
  const ended = new AbortController();
  const parts = new Mailbox<ReadPart>();
  const reading = bucket.get(
    key,
    {
      write: (position, bytes) =>
        new Promise((used) => {
          if (!parts.put({ position, bytes, used })) used();
        }),
    },
    { offsetBytes: offset, signal: AbortSignal.any([signal, ended.signal]) },
  );
  reading.then(
    // It may have been replaced since it was looked at.
    (stored) => {
      const problem = problemOf(stored, artifact);
      if (problem) parts.fail(problem);
      else parts.close();
    },
    (error: unknown) => parts.fail(error),
  );
  try {
    for await (const { position, bytes, used } of parts) {
      try {
        yield { offsetBytes: BigInt(position), data: bytes };
      } finally {
        used();
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    if (isNatsError(error, 'OBJECT_NOT_FOUND')) throw artifactNotFound(artifact, error);
    throw error;
  } finally {
    ended.abort();
    parts.close();
    for (const { used } of parts.drain()) used();
  }
}

/** Bytes on their way from the bucket, whose they are again once they are used. */
interface ReadPart {
  readonly position: number;
  readonly bytes: Uint8Array;
  readonly used: () => void;
}

function artifactNotFound({ path }: ArtifactRecord, cause?: unknown): RpcError {
  return new RpcError('NOT_FOUND', `${path} was not found`, {
    reason: 'ARTIFACT_NOT_FOUND',
    cause,
  });
}

function assertAsRecorded(stored: StoredObject, artifact: ArtifactRecord): void {
  const problem = problemOf(stored, artifact);
  if (problem) throw problem;
}

/** How a stored object is not the artifact of the job's record; null: it is. */
function problemOf(
  { byteLength, digest }: StoredObject,
  { path, sizeBytes, sha256 }: ArtifactRecord,
): RpcError | null {
  const recorded = `SHA-256=${Buffer.from(sha256, 'hex').toString('base64url')}`;
  if (byteLength === sizeBytes && digest.replace(/=+$/, '') === recorded) return null;
  return new RpcError(
    'DATA_LOSS',
    `${path}: ${byteLength} bytes with ${digest} are stored, the job has made ${sizeBytes} with ${recorded}`,
    { reason: 'ARTIFACT_CHANGED' },
  );
}
