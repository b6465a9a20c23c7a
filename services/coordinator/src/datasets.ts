import { createHash, type Hash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  DatasetSchema,
  type Dataset,
  type DatasetUpload,
  type StoredObject as StoredObjectMessage,
  type UploadDatasetRequest,
} from '@emloc/contracts';
import { bucketNames, storedObjectMessage } from '@emloc/job-storage';
import { streamSource, type ObjectBucket, type StoredObject } from '@emloc/nats';
import { invalidRequest, RpcError } from '@emloc/rpc';
import { within } from '@emloc/time';

import { tenantToken } from './jobs/record.js';
import { datasetName } from './resource-names.js';

const maxPieceBytes = 1024 * 1024;
const maxNameLength = 255;

export interface UploadLimits {
  readonly maxDatasetBytes: number;
  /** How long the next message of an upload is waited for. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

/** Name of a data set in the bucket of data sets. */
export function datasetKey(tenant: string, sha256: string): string {
  return `${tenantToken(tenant)}/${sha256}`;
}

/**
 * Stores what a tenant uploads, if its size and hash are as announced; one that is there is only
 * kept for longer.
 * @throws RpcError
 */
export async function uploadDataset(
  bucket: ObjectBucket,
  tenant: string,
  requests: AsyncIterable<UploadDatasetRequest>,
  limits: UploadLimits,
): Promise<Dataset> {
  const iterator = withoutPauses(requests[Symbol.asyncIterator](), limits.idleMs);
  const upload = await announced(iterator, limits);
  const key = datasetKey(tenant, upload.sha256);
  const standing = await bucket.touch(key);
  if (standing) return toDataset(standing, upload.sha256);
  const stored = await bucket
    .put(key, streamSource(checked(iterator, upload)), {
      metadata: { displayName: upload.displayName, createTime: new Date().toISOString() },
      signal: limits.signal,
    })
    .catch((error: unknown) => {
      limits.signal.throwIfAborted();
      throw error;
    });
  return toDataset(stored, upload.sha256);
}

/** Where a tenant's data set is stored, which is kept for longer then; undefined: there is none. */
export async function findDataset(
  bucket: Pick<ObjectBucket, 'touch'>,
  tenant: string,
  sha256: string,
): Promise<StoredObjectMessage | undefined> {
  const stored = await bucket.touch(datasetKey(tenant, sha256));
  return stored && storedObjectMessage(bucketNames.datasets, stored);
}

/** What a tenant's uploads count on: a message in time. */
interface Messages {
  /** @throws RpcError DEADLINE_EXCEEDED when none comes in time */
  next(): Promise<IteratorResult<UploadDatasetRequest>>;
}

function withoutPauses(iterator: AsyncIterator<UploadDatasetRequest>, idleMs: number): Messages {
  return { next: () => within(iterator.next(), idleMs, () => uploadIdle(idleMs)) };
}

function uploadIdle(idleMs: number): RpcError {
  return new RpcError(
    'DEADLINE_EXCEEDED',
    `the upload stood still: its next message did not come within ${idleMs} ms`,
    { reason: 'UPLOAD_IDLE' },
  );
}

async function announced(
  iterator: Messages,
  { maxDatasetBytes }: UploadLimits,
): Promise<DatasetUpload> {
  const { value, done } = await iterator.next();
  if (done || value.content.case !== 'upload')
    throw invalidRequest([{ field: 'upload', description: 'must be the first message' }]);
  const upload = value.content.value;
  const violations = [
    ...(/^[0-9a-f]{64}$/.test(upload.sha256)
      ? []
      : [{ field: 'upload.sha256', description: 'must be 64 lower-case hexadecimal digits' }]),
    ...(upload.sizeBytes > 0n
      ? []
      : [{ field: 'upload.size_bytes', description: 'must be positive' }]),
    ...(isDisplayName(upload.displayName, maxNameLength)
      ? []
      : [
          {
            field: 'upload.display_name',
            description: `must have at most ${maxNameLength} characters and no control characters`,
          },
        ]),
  ];
  if (violations.length > 0) throw invalidRequest(violations);
  if (upload.sizeBytes > BigInt(maxDatasetBytes)) {
    throw new RpcError(
      'RESOURCE_EXHAUSTED',
      `upload.size_bytes: ${upload.sizeBytes} bytes announced, data sets may have ${maxDatasetBytes}`,
      { reason: 'DATASET_TOO_LARGE' },
    );
  }
  return upload;
}

/** Whether a text may be shown to people as a name. */
export function isDisplayName(text: string, maxLength: number): boolean {
  return text.length <= maxLength && !/\p{Cc}/u.test(text);
}

/**
 * The bytes, which end only when they are what was announced: an upload that is not is not kept.
 */
async function* checked(
  iterator: Messages,
  { sizeBytes, sha256 }: DatasetUpload,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let received = 0n;
  for (;;) {
    const { value, done } = await iterator.next();
    if (done) break;
    if (value.content.case !== 'data')
      throw invalidRequest([
        { field: 'data', description: 'every message after the first has data' },
      ]);
    const data = value.content.value;
    if (data.length > maxPieceBytes)
      throw invalidRequest([
        {
          field: 'data',
          description: `has ${data.length} bytes, at most ${maxPieceBytes} are allowed`,
        },
      ]);
    received += BigInt(data.length);
    if (received > sizeBytes)
      throw invalidRequest([
        { field: 'upload.size_bytes', description: `${sizeBytes} bytes announced, more were sent` },
      ]);
    hash.update(data);
    yield data;
  }
  assertAsAnnounced({ received, hash }, { sizeBytes, sha256 });
}

function assertAsAnnounced(
  { received, hash }: { received: bigint; hash: Hash },
  { sizeBytes, sha256 }: { sizeBytes: bigint; sha256: string },
): void {
  if (received !== sizeBytes)
    throw invalidRequest([
      {
        field: 'upload.size_bytes',
        description: `${sizeBytes} bytes announced, ${received} were sent`,
      },
    ]);
  const digest = hash.digest('hex');
  if (digest !== sha256)
    throw invalidRequest([
      { field: 'upload.sha256', description: `${sha256} announced, the bytes have ${digest}` },
    ]);
}

function toDataset({ byteLength, metadata, modified }: StoredObject, sha256: string): Dataset {
  return create(DatasetSchema, {
    name: datasetName(sha256),
    displayName: metadata['displayName'] ?? '',
    sizeBytes: BigInt(byteLength),
    sha256,
    createTime: timestampFromDate(new Date(metadata['createTime'] ?? modified)),
  });
}
