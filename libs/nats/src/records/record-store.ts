import { jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream';
import { Kvm, type KV, type KvEntry, type KvWatchEntry } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';

import { isConflict, requestTimeoutMs, retryTransient } from '../connection/retry.js';
import { NatsError } from '../errors.js';
import { purgeMessages, type StreamAccess } from '../streams/purge-messages.js';

/**
 * A record and the revision that an update must name. Revisions of a bucket only grow, also across
 * deletions.
 */
export interface Versioned<T> {
  readonly key: string;
  readonly value: T;
  readonly revision: number;
}

type RecordChange<T> =
  | ({ readonly kind: 'put' } & Versioned<T>)
  | { readonly kind: 'delete'; readonly key: string; readonly revision: number };

export interface RecordStoreOptions<T> {
  readonly nats: NatsConnection;
  /** Letters, digits, `_` and `-`. */
  readonly bucket: string;
  /** A record that nobody writes for so long is gone. */
  readonly ttlMs?: number;
  readonly replicas?: number;
  /**
   * Checks what was stored, by this or another version of the program; throws when it is not a T.
   */
  readonly parse?: (json: unknown) => T;
}

/**
 * Small JSON records under compare-and-set. Keys: tokens of letters, digits, `_`, `-`, `=`, joined
 * by dots.
 */
export interface RecordStore<T> {
  get(key: string): Promise<Versioned<T> | undefined>;
  /** @throws NatsError RECORD_EXISTS */
  create(key: string, value: T): Promise<Versioned<T>>;
  /** @throws NatsError RECORD_CONFLICT when the record has another revision by now */
  update(key: string, value: T, revision: number): Promise<Versioned<T>>;
  /**
   * Reads, changes and updates until nobody came between.
   * @param change returns the record unchanged to leave it; may be called again
   * @throws NatsError RECORD_NOT_FOUND; what `change` throws
   */
  modify(key: string, change: (value: T) => T): Promise<Versioned<T>>;
  /** @throws NatsError RECORD_CONFLICT when a revision is given and it is not the record's */
  delete(key: string, revision?: number): Promise<void>;
  /**
   * Removes records and every trace of them, where `delete` leaves a message that says so; who
   * watches is not told. @param filter as in `list`
   */
  discard(filter: string): Promise<void>;
  /** @param filter a key whose tokens may be `*`, its last `>` */
  list(filter?: string): Promise<Versioned<T>[]>;
  /**
   * Messages that are stored beyond the newest of each key. Stores keep no history: more than 0
   * says that the server has lost count, and takes what is there for what is not.
   */
  surplus(): Promise<number>;
  /** Removes every record, and all that the server knows of them but the newest revision. */
  purge(): Promise<void>;
  /**
   * What is there, then every change, until `signal` aborts. A slow reader gets the changes later,
   * none less.
   */
  watch(filter: string, signal: AbortSignal): AsyncIterableIterator<RecordChange<T>>;
}

/** Opens a bucket of records, making it when it is missing. */
export async function openRecordStore<T>({
  nats,
  bucket,
  ttlMs,
  replicas,
  parse = (json) => json as T,
}: RecordStoreOptions<T>): Promise<RecordStore<T>> {
  const manager = new Kvm(nats);
  const kv = await retryTransient(() =>
    manager.create(bucket, {
      history: 1,
      storage: StorageType.File,
      timeout: requestTimeoutMs,
      ...(ttlMs === undefined ? {} : { ttl: ttlMs }),
      ...(replicas === undefined ? {} : { replicas }),
    }),
  );
  const access = {
    nats,
    manager: await retryTransient(() => jetstreamManager(nats, { timeout: requestTimeoutMs })),
    client: jetstream(nats, { timeout: requestTimeoutMs }),
    stream: `KV_${bucket}`,
  };
  return new KvRecordStore(kv, access, bucket, parse);
}

class KvRecordStore<T> implements RecordStore<T> {
  constructor(
    private readonly kv: KV,
    private readonly access: StreamAccess,
    private readonly bucket: string,
    private readonly parse: (json: unknown) => T,
  ) {}

  async get(key: string): Promise<Versioned<T> | undefined> {
    const entry = await retryTransient(() => this.kv.get(key));
    return entry?.operation === 'PUT' ? this.#versioned(entry) : undefined;
  }

  async create(key: string, value: T): Promise<Versioned<T>> {
    return this.#write(
      key,
      value,
      (data) => this.kv.create(key, data),
      'RECORD_EXISTS',
      'exists already',
    );
  }

  async update(key: string, value: T, revision: number): Promise<Versioned<T>> {
    return this.#write(
      key,
      value,
      (data) => this.kv.update(key, data, revision),
      'RECORD_CONFLICT',
      `is not at revision ${revision} any more`,
    );
  }

  async modify(key: string, change: (value: T) => T): Promise<Versioned<T>> {
    for (;;) {
      const current = await this.get(key);
      if (!current)
        throw new NatsError('RECORD_NOT_FOUND', `records: ${this.bucket} has no ${key}`);
      const next = change(current.value);
      if (next === current.value) return current;
      try {
        return await this.update(key, next, current.revision);
      } catch (error) {
        if (!(error instanceof NatsError) || error.code !== 'RECORD_CONFLICT') throw error;
      }
    }
  }

  async delete(key: string, revision?: number): Promise<void> {
    try {
      await retryTransient(() =>
        this.kv.delete(key, revision === undefined ? {} : { previousSeq: revision }),
      );
    } catch (cause) {
      if (!isConflict(cause)) throw cause;
      // Our own first attempt may have been the one that deleted it.
      if (await this.get(key))
        throw new NatsError(
          'RECORD_CONFLICT',
          `records: ${this.bucket}: ${key} is not at revision ${revision} any more`,
          { cause },
        );
    }
  }

  async discard(filter: string): Promise<void> {
    await purgeMessages(this.access, `$KV.${this.bucket}.${filter}`);
  }

  async list(filter = '>'): Promise<Versioned<T>[]> {
    // The client library's `keys` waits for an end that it misses when a key changes meanwhile.
    const prefix = `$KV.${this.bucket}.`;
    const { state } = await retryTransient(() =>
      this.#streams.info(this.access.stream, { subjects_filter: prefix + filter }),
    );
    const keys = Object.keys(state.subjects ?? {}).map((subject) => subject.slice(prefix.length));
    const records = await Promise.all(keys.map((key) => this.get(key)));
    return records
      .filter((record) => record !== undefined)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async surplus(): Promise<number> {
    const { state } = await retryTransient(() =>
      this.#streams.info(this.access.stream, { subjects_filter: '>' }),
    );
    return state.messages - Object.keys(state.subjects ?? {}).length;
  }

  async purge(): Promise<void> {
    await retryTransient(() => this.#streams.purge(this.access.stream));
  }

  get #streams(): StreamAccess['manager']['streams'] {
    return this.access.manager.streams;
  }

  async *watch(
    filter: string,
    signal: AbortSignal,
  ): AsyncGenerator<RecordChange<T>, void, undefined> {
    if (signal.aborted) return;
    const changes = await retryTransient(() => this.kv.watch({ key: filter }));
    const stop = (): void => changes.stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      for await (const entry of changes) yield this.#change(entry);
    } finally {
      signal.removeEventListener('abort', stop);
      changes.stop();
    }
  }

  #change(entry: KvWatchEntry): RecordChange<T> {
    if (entry.operation === 'PUT') return { kind: 'put', ...this.#versioned(entry) };
    return { kind: 'delete', key: entry.key, revision: entry.revision };
  }

  async #write(
    key: string,
    value: T,
    write: (data: string) => Promise<number>,
    code: 'RECORD_EXISTS' | 'RECORD_CONFLICT',
    problem: string,
  ): Promise<Versioned<T>> {
    const data = JSON.stringify(value);
    let attempts = 0;
    try {
      const revision = await retryTransient(() => {
        attempts += 1;
        return write(data);
      });
      return { key, value, revision };
    } catch (cause) {
      if (!isConflict(cause)) throw cause;
      // An attempt whose answer was lost has written it: what stands there is ours.
      const standing = attempts > 1 ? await retryTransient(() => this.kv.get(key)) : null;
      if (standing?.operation === 'PUT' && standing.string() === data)
        return { key, value, revision: standing.revision };
      throw new NatsError(code, `records: ${this.bucket}: ${key} ${problem}`, { cause });
    }
  }

  #versioned(entry: KvEntry): Versioned<T> {
    return { key: entry.key, value: this.parse(entry.json()), revision: entry.revision };
  }
}
