import type { NatsConnection } from '@nats-io/transport-node';

import type { Lane } from '../connection/lane.js';
import type { ObjectSink } from './chunk-reader.js';
import type { ChunkSource } from './chunk-writer.js';

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

export interface GetOptions extends ReadOptions {
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
  /** The same by name alone, at a fraction of the cost; one just deleted may be among them. */
  names(): Promise<string[]>;
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
