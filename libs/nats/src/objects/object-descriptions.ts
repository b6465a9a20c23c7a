import { messageOf } from '@emloc/checked';
import { JsHeaders } from '@nats-io/jetstream';
import type { ObjectInfo } from '@nats-io/obj';
import { headers, type MsgHdrs } from '@nats-io/transport-node';

import { requestTimeoutMs, retryTransient } from '../connection/retry.js';
import { NatsError } from '../errors.js';
import {
  countsPurgedAsStored,
  purgeFewMessages,
  type StreamAccess,
} from '../streams/purge-messages.js';
import type { StoredObject } from './object-bucket.js';

/** Of objects whose description does not say it: what client libraries take. */
const defaultChunkBytes = 128 * 1024;
/** Descriptions that are asked for at once. */
const mostAsked = 64;

export interface FoundObject {
  readonly stored: StoredObject;
  /** Of its description in the stream, which is stored after its chunks. */
  readonly sequence: number;
}

/** Where a bucket's messages are. */
export interface BucketAccess extends StreamAccess {
  readonly bucket: string;
}

/** What a bucket has of each object besides its chunks, as client libraries write it. */
export class ObjectDescriptions {
  constructor(private readonly access: BucketAccess) {}

  /** The newest of a name, where that is there. */
  async find(name: string): Promise<FoundObject | undefined> {
    const message = await retryTransient(() =>
      this.access.manager.streams.getMessage(this.access.stream, {
        last_by_subj: this.#subject(name),
      }),
    );
    const info = message?.json<ObjectInfo>();
    return message && info && !info.deleted
      ? { stored: toStored(info), sequence: message.seq }
      : undefined;
  }

  /**
   * Names an object whose chunks are stored. What the name had before is to be removed afterwards.
   * @param replaces sequence of the message that must be the newest of this name
   * @returns the description's sequence
   * @throws NatsError OBJECT_WRITE_FAILED
   */
  async publish(
    { name, id, byteLength, chunks, chunkBytes, digest, modified, metadata }: StoredObject,
    replaces?: number,
  ): Promise<number> {
    const info = {
      name,
      description: '',
      metadata,
      bucket: this.access.bucket,
      nuid: id,
      size: byteLength,
      chunks,
      mtime: modified,
      digest,
      deleted: false,
      options: { max_chunk_size: chunkBytes },
    };
    try {
      const { seq } = await retryTransient(() =>
        this.access.client.publish(this.#subject(name), JSON.stringify(info), {
          ...(this.#rollsUp && { headers: rollup() }),
          timeout: requestTimeoutMs,
          ...(replaces === undefined ? {} : { expect: { lastSubjectSequence: replaces } }),
        }),
      );
      return seq;
    } catch (cause) {
      throw new NatsError(
        'OBJECT_WRITE_FAILED',
        `objects: ${name} was uploaded but could not be named: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  /** Names that have a description, perhaps that of a deleted object. */
  async names(): Promise<string[]> {
    // The client library leaves the consumers of its `list` and `watch` to the server for minutes.
    const prefix = this.#subjectOf('');
    const { state } = await retryTransient(() =>
      this.access.manager.streams.info(this.access.stream, { subjects_filter: `${prefix}>` }),
    );
    return Object.keys(state.subjects ?? {}).map((subject) =>
      Buffer.from(subject.slice(prefix.length), 'base64url').toString('utf8'),
    );
  }

  async list(): Promise<StoredObject[]> {
    const found: StoredObject[] = [];
    const names = await this.names();
    while (names.length > 0) {
      const some = names.splice(0, mostAsked).map((name) => this.find(name));
      for (const object of await Promise.all(some)) if (object) found.push(object.stored);
    }
    return found;
  }

  /** What a name had before: the newest counts, so that what stays goes with the next. */
  async removeFormer(name: string, newest: number): Promise<void> {
    if (!this.#rollsUp) await this.remove(name, newest).catch(() => undefined);
  }

  /** @param before only where it has a lower sequence */
  async remove(name: string, before?: number): Promise<void> {
    await purgeFewMessages(this.access, this.#subject(name), before);
  }

  /** A rollup is a purge to the server. */
  get #rollsUp(): boolean {
    return !countsPurgedAsStored(this.access.nats.info?.version);
  }

  #subject(name: string): string {
    const encoded = Buffer.from(name, 'utf8').toString('base64url');
    return this.#subjectOf(encoded.padEnd(Math.ceil(encoded.length / 4) * 4, '='));
  }

  #subjectOf(encoded: string): string {
    return `$O.${this.access.bucket}.M.${encoded}`;
  }
}

/** Lets a message take the place of all others of its subject. */
function rollup(): MsgHdrs {
  const all = headers();
  all.set(JsHeaders.RollupHdr, JsHeaders.RollupValueSubject);
  return all;
}

function toStored({
  name,
  nuid,
  size,
  chunks,
  digest,
  mtime,
  metadata,
  options,
}: ObjectInfo): StoredObject {
  return {
    name,
    id: nuid,
    byteLength: size,
    chunks,
    chunkBytes: options?.max_chunk_size ?? defaultChunkBytes,
    digest,
    modified: mtime,
    metadata: metadata ?? {},
  };
}
