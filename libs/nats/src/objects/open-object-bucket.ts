import { messageOf } from '@emloc/checked';
import { jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';

import { requestTimeoutMs, retryTransient } from '../connection/retry.js';
import { NatsError } from '../errors.js';
import { JetStreamBucket } from './jetstream-bucket.js';
import type { ObjectBucket, ObjectBucketOptions } from './object-bucket.js';

const defaults = { chunkBytes: 1024 * 1024, windowChunks: 8, stallTimeoutMs: 30_000 };

/**
 * Opens a bucket, making it when it is missing; asks again while the server is away or starting.
 * @throws NatsError OBJECT_WRITE_FAILED
 */
export async function openObjectBucket(options: ObjectBucketOptions): Promise<ObjectBucket> {
  try {
    return await retryTransient(() => openOnce(options));
  } catch (cause) {
    throw new NatsError(
      'OBJECT_WRITE_FAILED',
      `objects: bucket ${options.bucket} cannot be opened: ${messageOf(cause)}`,
      { cause },
    );
  }
}

async function openOnce(options: ObjectBucketOptions): Promise<ObjectBucket> {
  const { nats, bucket, maxBytes, replicas } = options;
  const manager = await jetstreamManager(nats, { timeout: requestTimeoutMs });
  const store = await new Objm(nats).create(bucket, {
    storage: StorageType.File,
    ...(maxBytes === undefined ? {} : { max_bytes: maxBytes }),
    ...(replicas === undefined ? {} : { replicas }),
  });
  const { streamInfo } = await store.status();
  const stream = streamInfo.config.name;
  return new JetStreamBucket(
    { ...defaults, ...options },
    { nats, bucket, stream, manager, client: jetstream(nats) },
  );
}
