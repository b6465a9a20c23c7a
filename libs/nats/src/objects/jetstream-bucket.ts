import { isConflict } from '../connection/retry.js';
import { NatsError } from '../errors.js';
import { purgeMessages } from '../streams/purge-messages.js';
import { countFrom, startOfLast } from './chunk-position.js';
import { readChunks, type ObjectSink, type ReadSettings } from './chunk-reader.js';
import { writeChunks, type ChunkSource } from './chunk-writer.js';
import { isKnownDigest } from './digest.js';
import type {
  GetOptions,
  ObjectBucket,
  ObjectBucketOptions,
  PutOptions,
  ReadOptions,
  StoredObject,
} from './object-bucket.js';
import { ObjectDescriptions, type BucketAccess, type FoundObject } from './object-descriptions.js';

/** A bucket in a stream that is there. */
export class JetStreamBucket implements ObjectBucket {
  readonly #descriptions: ObjectDescriptions;

  constructor(
    private readonly options: Required<
      Pick<ObjectBucketOptions, 'chunkBytes' | 'windowChunks' | 'stallTimeoutMs'>
    > &
      ObjectBucketOptions,
    private readonly access: BucketAccess,
  ) {
    this.#descriptions = new ObjectDescriptions(access);
  }

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
      const sequence = await this.#descriptions.publish(stored);
      if (previous) await this.#removeFormer(previous, sequence);
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
    const found = await this.#descriptions.find(name);
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
    return (await this.#descriptions.find(name))?.stored;
  }

  async touch(name: string): Promise<StoredObject | undefined> {
    for (;;) {
      const found = await this.#descriptions.find(name);
      if (!found) return undefined;
      const touched = { ...found.stored, modified: new Date().toISOString() };
      // What was replaced or deleted since stays so.
      const sequence = await this.#descriptions.publish(touched, found.sequence).catch(ifReplaced);
      if (sequence === null) continue;
      await this.#descriptions.removeFormer(name, sequence);
      return touched;
    }
  }

  list(): Promise<StoredObject[]> {
    return this.#descriptions.list();
  }

  names(): Promise<string[]> {
    return this.#descriptions.names();
  }

  async delete(name: string, { modified }: { readonly modified?: string } = {}): Promise<boolean> {
    const found = await this.#descriptions.find(name);
    if (!found || (modified !== undefined && found.stored.modified !== modified)) return false;
    await this.#descriptions.remove(name, modified === undefined ? undefined : found.sequence + 1);
    // Somebody has touched it in between.
    if (modified !== undefined && (await this.info(name))?.id === found.stored.id) return false;
    await this.discard(found.stored.id);
    return true;
  }

  async discard(id: string): Promise<void> {
    await purgeMessages(this.access, this.#chunkSubject(id));
  }

  async sweepOrphans(minAgeMs = 60 * 60_000): Promise<number> {
    const referenced = new Set((await this.list()).map(({ id }) => id));
    const { state } = await this.access.manager.streams.info(this.access.stream, {
      subjects_filter: this.#chunkSubject('*'),
    });
    const ids = Object.keys(state.subjects ?? {})
      .map((subject) => subject.slice(this.#chunkSubject('').length))
      .filter((id) => !referenced.has(id));
    let swept = 0;
    for (const id of ids) {
      const last = await this.access.manager.streams.getMessage(this.access.stream, {
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
    const at = { stream: this.access.stream, subject: this.#chunkSubject(id) };
    const sequence = await startOfLast(chunks - skippedChunks, end, (start) =>
      countFrom(this.access.manager, at, start),
    );
    if (sequence === null)
      throw new NatsError(
        'OBJECT_CORRUPT',
        `objects: ${name} has fewer than the last ${chunks - skippedChunks} of its ${chunks} chunks`,
      );
    return { offsetBytes, skippedChunks, chunkBytes, sequence };
  }

  /** Of an object that has a successor: sweepOrphans finds what stays of it. */
  async #removeFormer({ name, id }: StoredObject, sequence: number): Promise<void> {
    await this.#descriptions.removeFormer(name, sequence);
    await this.discard(id).catch(() => undefined);
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
        stream: this.access.stream,
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

  #chunkSubject(id: string): string {
    return `$O.${this.options.bucket}.C.${id}`;
  }
}

/** @throws anything but that another message was the newest */
function ifReplaced(error: unknown): null {
  if (error instanceof NatsError && isConflict(error.cause)) return null;
  throw error;
}

function randomId(): string {
  return crypto.randomUUID().replaceAll('-', '');
}
