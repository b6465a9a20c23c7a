import { messageOf } from '@emloc/checked';
import {
  jetstream,
  jetstreamManager,
  JsHeaders,
  StorageType,
  type JetStreamClient,
  type JetStreamManager,
} from '@nats-io/jetstream';
import { Objm, type ObjectInfo } from '@nats-io/obj';
import { headers, type NatsConnection } from '@nats-io/transport-node';

import type { Lane } from '../connection/lane.js';
import { isConflict, requestTimeoutMs, retryTransient } from '../connection/retry.js';
import { NatsError } from '../errors.js';
import { countFrom, startOfLast } from './chunk-position.js';
import { readChunks, type ObjectSink, type ReadSettings } from './chunk-reader.js';
import { writeChunks, type ChunkSource } from './chunk-writer.js';
import { isKnownDigest } from './digest.js';

/**
 * What is written: `next` fills `target` from its start and returns the bytes that it wrote; fewer
 * than fit, at the end.
 */
export type { ChunkSource } from './chunk-writer.js';

export type { ObjectSink } from './chunk-reader.js';

export interface StoredObject {
  readonly name: string;
  /** Names the chunks; another one after every `put`. */
  readonly id: string;
  readonly byteLength: number;
  readonly chunks: number;
  /** Bytes of every chunk but the last. */
  readonly chunkBytes: number;
  /** `SHA-256=` and the base64url digest. */
  readonly digest: string;
  readonly modified: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface PutOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Called with how many chunks are sent again, because the server did not answer or was away. */
  readonly onResend?: (chunks: number) => void;
}

export interface ReadOptions {
  readonly signal?: AbortSignal;
  /** Reading ends with OBJECT_STALLED when no chunk comes for so long. */
  readonly stallTimeoutMs?: number;
}

interface GetOptions extends ReadOptions {
  /**
   * The sink gets the bytes from here on, default: all. Chunks before are not moved, so that the
   * digest is not checked.
   */
  readonly offsetBytes?: number;
}

export interface ObjectBucketOptions {
  readonly nats: NatsConnection;
  readonly lane: Lane;
  /** Letters, digits, `_` and `-`. */
  readonly bucket: string;
  readonly chunkBytes?: number;
  /** Chunks in flight; `windowChunks` x `chunkBytes` is the memory that a put or a get takes. */
  readonly windowChunks?: number;
  readonly stallTimeoutMs?: number;
  readonly maxBytes?: number;
  readonly replicas?: number;
}

/**
 * Large things that outlive processes, in the format of NATS object stores. Unlike the client
 * library's, put keeps several chunks in flight and survives a restart of the server, get has
 * back-pressure, counts its bytes and ends when the server does not answer.
 */
export interface ObjectBucket {
  /**
   * Replaces what has this name, when everything is stored and not before.
   * @throws NatsError OBJECT_WRITE_FAILED, OBJECT_STALLED
   */
  put(name: string, source: ChunkSource, options?: PutOptions): Promise<StoredObject>;
  /**
   * @throws NatsError OBJECT_NOT_FOUND, OBJECT_OFFSET_OUT_OF_RANGE, OBJECT_CORRUPT,
   * OBJECT_STALLED; the sink may have got a part then
   */
  get(name: string, sink: ObjectSink, options?: GetOptions): Promise<StoredObject>;
  info(name: string): Promise<StoredObject | undefined>;
  list(): Promise<StoredObject[]>;
  /** Sets the time of its last change to now. @returns undefined: it is not there */
  touch(name: string): Promise<StoredObject | undefined>;
  /** With `modified`, only an object that was last changed then. @returns whether it was there */
  delete(name: string, condition?: { readonly modified?: string }): Promise<boolean>;
  /** Deletes chunks of this id that no object will refer to. */
  discard(id: string): Promise<void>;
  /**
   * Deletes chunks that no object refers to and that are older.
   * @returns how many uploads they belonged to
   */
  sweepOrphans(minAgeMs?: number): Promise<number>;
}

/** Of objects whose description does not say it: what client libraries take. */
const defaultChunkBytes = 128 * 1024;

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
    return new JetStreamBucket(
      { ...defaults, ...options },
      streamInfo.config.name,
      manager,
      jetstream(options.nats),
    );
  } catch (cause) {
    throw new NatsError(
      'OBJECT_WRITE_FAILED',
      `objects: bucket ${options.bucket} cannot be opened: ${messageOf(cause)}`,
      { cause },
    );
  }
}

interface FoundObject {
  readonly stored: StoredObject;
  /** Of its description in the stream, which is stored after its chunks. */
  readonly sequence: number;
}

class JetStreamBucket implements ObjectBucket {
  constructor(
    private readonly options: Required<
      Pick<ObjectBucketOptions, 'chunkBytes' | 'windowChunks' | 'stallTimeoutMs'>
    > &
      ObjectBucketOptions,
    private readonly stream: string,
    private readonly manager: JetStreamManager,
    private readonly client: JetStreamClient,
  ) {}

  async put(
    name: string,
    source: ChunkSource,
    { metadata = {}, signal, onResend }: PutOptions = {},
  ): Promise<StoredObject> {
    const { lane, windowChunks, stallTimeoutMs } = this.options;
    const chunkBytes = Math.min(this.options.chunkBytes, lane.maxPayloadBytes - 512);
    const previous = await this.info(name);
    const id = randomId();
    try {
      const written = await writeChunks(
        {
          lane,
          name,
          subject: this.#chunkSubject(id),
          chunkBytes,
          windowChunks,
          stallTimeoutMs,
          signal,
          onResend,
        },
        source,
      );
      const stored = {
        name,
        id,
        ...written,
        chunkBytes,
        modified: new Date().toISOString(),
        metadata,
      };
      await this.#publishMeta(stored);
      if (previous) await this.discard(previous.id);
      return stored;
    } catch (error) {
      // A server that is away keeps the chunks; sweepOrphans finds them.
      await this.discard(id).catch(() => undefined);
      throw error;
    }
  }

  async get(
    name: string,
    sink: ObjectSink,
    { offsetBytes = 0, ...options }: GetOptions = {},
  ): Promise<StoredObject> {
    const found = await this.#meta(name);
    if (!found)
      throw new NatsError('OBJECT_NOT_FOUND', `objects: ${this.options.bucket} has no ${name}`);
    const { stored } = found;
    if (!Number.isSafeInteger(offsetBytes) || offsetBytes < 0 || offsetBytes > stored.byteLength) {
      throw new NatsError(
        'OBJECT_OFFSET_OUT_OF_RANGE',
        `objects: ${name} has ${stored.byteLength} bytes, those from ${offsetBytes} on were asked for`,
      );
    }
    if (offsetBytes > 0 && offsetBytes === stored.byteLength) return stored;
    if (!isKnownDigest(stored.digest))
      throw new NatsError(
        'OBJECT_CORRUPT',
        `objects: ${name} has a digest of an unknown kind: ${stored.digest}`,
      );
    const from = await this.#startOf(found, offsetBytes);
    const digest = await this.#read(stored, from, sink, options);
    if (offsetBytes === 0 && digest !== stored.digest)
      throw new NatsError(
        'OBJECT_CORRUPT',
        `objects: ${name} has digest ${digest}, ${stored.digest} was stored`,
      );
    return stored;
  }

  async info(name: string): Promise<StoredObject | undefined> {
    return (await this.#meta(name))?.stored;
  }

  async touch(name: string): Promise<StoredObject | undefined> {
    for (;;) {
      const found = await this.#meta(name);
      if (!found) return undefined;
      const touched = { ...found.stored, modified: new Date().toISOString() };
      // What was replaced or deleted since stays so.
      if (await this.#publishMeta(touched, found.sequence).then(() => true, ifReplaced))
        return touched;
    }
  }

  async list(): Promise<StoredObject[]> {
    const objects = await retryTransient(async () =>
      (await new Objm(this.options.nats).open(this.options.bucket)).list(),
    );
    return objects.filter(({ deleted }) => !deleted).map(toStored);
  }

  async delete(name: string, { modified }: { readonly modified?: string } = {}): Promise<boolean> {
    const found = await this.#meta(name);
    if (!found || (modified !== undefined && found.stored.modified !== modified)) return false;
    await this.#purge(
      this.#metaSubject(name),
      modified === undefined ? undefined : found.sequence + 1,
    );
    // Somebody has touched it in between.
    if (modified !== undefined && (await this.info(name))?.id === found.stored.id) return false;
    await this.discard(found.stored.id);
    return true;
  }

  async discard(id: string): Promise<void> {
    await this.#purge(this.#chunkSubject(id));
  }

  async sweepOrphans(minAgeMs = 60 * 60_000): Promise<number> {
    const referenced = new Set((await this.list()).map(({ id }) => id));
    const { state } = await this.manager.streams.info(this.stream, {
      subjects_filter: this.#chunkSubject('*'),
    });
    const ids = Object.keys(state.subjects ?? {})
      .map((subject) => subject.slice(this.#chunkSubject('').length))
      .filter((id) => !referenced.has(id));
    let swept = 0;
    for (const id of ids) {
      const last = await this.manager.streams.getMessage(this.stream, {
        last_by_subj: this.#chunkSubject(id),
      });
      if (!last || Date.now() - last.time.getTime() < minAgeMs) continue;
      await this.discard(id);
      swept += 1;
    }
    return swept;
  }

  /**
   * Where in the stream the chunk begins that holds an offset; undefined: with the first.
   * @throws NatsError OBJECT_CORRUPT
   */
  async #startOf(
    { stored, sequence: end }: FoundObject,
    offsetBytes: number,
  ): Promise<ReadSettings['from']> {
    const { id, name, chunks, chunkBytes } = stored;
    const skippedChunks = Math.floor(offsetBytes / chunkBytes);
    if (offsetBytes === 0) return undefined;
    if (skippedChunks === 0) return { offsetBytes, skippedChunks, chunkBytes, sequence: 1 };
    const at = { stream: this.stream, subject: this.#chunkSubject(id) };
    const sequence = await startOfLast(chunks - skippedChunks, end, (start) =>
      countFrom(this.manager, at, start),
    );
    if (sequence === null)
      throw new NatsError(
        'OBJECT_CORRUPT',
        `objects: ${name} has fewer than the last ${chunks - skippedChunks} of its ${chunks} chunks`,
      );
    return { offsetBytes, skippedChunks, chunkBytes, sequence };
  }

  #read(
    { id, name, byteLength, chunks }: StoredObject,
    from: ReadSettings['from'],
    sink: ObjectSink,
    options: ReadOptions,
  ): Promise<string> {
    const { lane, windowChunks, stallTimeoutMs } = this.options;
    return readChunks(
      {
        lane,
        stream: this.stream,
        subject: this.#chunkSubject(id),
        name,
        byteLength,
        chunks,
        windowChunks,
        stallTimeoutMs: options.stallTimeoutMs ?? stallTimeoutMs,
        signal: options.signal,
        from,
      },
      sink,
    );
  }

  /** @param before only messages of lower sequence */
  async #purge(filter: string, before?: number): Promise<void> {
    await retryTransient(() =>
      this.manager.streams.purge(this.stream, {
        filter,
        ...(before === undefined ? {} : { seq: before }),
      }),
    );
  }

  async #meta(name: string): Promise<FoundObject | undefined> {
    const message = await retryTransient(() =>
      this.manager.streams.getMessage(this.stream, { last_by_subj: this.#metaSubject(name) }),
    );
    const info = message?.json<ObjectInfo>();
    return message && info && !info.deleted
      ? { stored: toStored(info), sequence: message.seq }
      : undefined;
  }

  /** @param replaces sequence of the message that must be the newest of this name */
  async #publishMeta(
    { name, id, byteLength, chunks, chunkBytes, digest, modified, metadata }: StoredObject,
    replaces?: number,
  ): Promise<void> {
    const info = {
      name,
      description: '',
      metadata,
      bucket: this.options.bucket,
      nuid: id,
      size: byteLength,
      chunks,
      mtime: modified,
      digest,
      deleted: false,
      options: { max_chunk_size: chunkBytes },
    };
    const rollup = headers();
    rollup.set(JsHeaders.RollupHdr, JsHeaders.RollupValueSubject);
    try {
      await retryTransient(() =>
        this.client.publish(this.#metaSubject(name), JSON.stringify(info), {
          headers: rollup,
          timeout: requestTimeoutMs,
          ...(replaces === undefined ? {} : { expect: { lastSubjectSequence: replaces } }),
        }),
      );
    } catch (cause) {
      throw new NatsError(
        'OBJECT_WRITE_FAILED',
        `objects: ${name} was uploaded but could not be named: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  #chunkSubject(id: string): string {
    return `$O.${this.options.bucket}.C.${id}`;
  }

  #metaSubject(name: string): string {
    const encoded = Buffer.from(name, 'utf8').toString('base64url');
    return `$O.${this.options.bucket}.M.${encoded.padEnd(Math.ceil(encoded.length / 4) * 4, '=')}`;
  }
}

/** @throws anything but that another message was the newest */
function ifReplaced(error: unknown): false {
  if (error instanceof NatsError && isConflict(error.cause)) return false;
  throw error;
}

/** Reads a source of known length by ranges. */
export function rangeSource(
  byteLength: number,
  read: (offsetBytes: number, target: Uint8Array) => Promise<void> | void,
): ChunkSource {
  let position = 0;
  return {
    async next(target) {
      const part = target.subarray(0, Math.min(target.length, byteLength - position));
      if (part.length > 0) await read(position, part);
      position += part.length;
      return part.length;
    },
  };
}

/** Reads pieces of any size. */
export function streamSource(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): ChunkSource {
  const iterator =
    Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]();
  let rest: Uint8Array = new Uint8Array(0);
  return {
    async next(target) {
      let filled = 0;
      while (filled < target.length) {
        if (rest.length === 0) {
          const { value, done } = await iterator.next();
          if (done) break;
          rest = value;
        }
        const part = rest.subarray(0, target.length - filled);
        target.set(part, filled);
        filled += part.length;
        rest = rest.subarray(part.length);
      }
      return filled;
    },
  };
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

function randomId(): string {
  return crypto.randomUUID().replaceAll('-', '');
}
