import { messageOf } from '@emloc/checked';
import { jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';

import { requestTimeoutMs } from '../connection/retry.js';
import { NatsError } from '../errors.js';
import { JetStreamBucket } from './jetstream-bucket.js';
import type { ObjectBucket, ObjectBucketOptions } from './object-bucket.js';

const defaults = { chunkBytes: 1024 * 1024, windowChunks: 8, stallTimeoutMs: 30_000 };

/** Opens a bucket, making it when it is missing. @throws NatsError OBJECT_WRITE_FAILED */
export async function openObjectBucket(options: ObjectBucketOptions): Promise<ObjectBucket> {
  try {
    const manager = await jetstreamManager(options.nats, { timeout: requestTimeoutMs });
    const store = await new Objm(options.nats).create(options.bucket, {
      storage: StorageType.File,
      ...(options.maxBytes === undefined ? {} : { max_bytes: options.maxBytes }),
      ...(options.replicas === undefined ? {} : { replicas: options.replicas }),
    });
    const { streamInfo } = await store.status();
    const { nats, bucket } = options;
    const stream = streamInfo.config.name;
    return new JetStreamBucket(
      { ...defaults, ...options },
      { nats, bucket, stream, manager, client: jetstream(nats) },
    );
  } catch (cause) {
    throw new NatsError(
      'OBJECT_WRITE_FAILED',
      `objects: bucket ${options.bucket} cannot be opened: ${messageOf(cause)}`,
      { cause },
    );
  }
}
