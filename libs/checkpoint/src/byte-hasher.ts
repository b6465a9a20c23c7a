import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { at } from '@emloc/checked';

import { CheckpointError } from './errors.js';

const algorithm = 'sha256';
/** A piece stays in the processor's caches from its copy to its hash. */
const slotBytes = 1 << 20;
const slotCount = 4;
/** So many bytes take some ten milliseconds; starting a thread takes a hundred. */
const smallBytes = 1 << 24;

/** What is hashed, a text as UTF-8. */
type HashedPart = string | Uint8Array;

/**
 * SHA-256 of much memory in a thread of its own, which starts when it is needed and does not keep
 * the process alive: this thread only copies, piece by piece, a tenth of the work.
 */
export class ByteHasher implements AsyncDisposable {
  #thread: HashThread | null = null;
  /** The hash before. */
  #last: Promise<unknown> = Promise.resolve();

  /**
   * The hash in hex of parts, one after another, which must stay as they are until then.
   * @throws CheckpointError CHECKPOINT_IO_FAILED where the thread ends before it has the hash
   */
  hash(parts: readonly HashedPart[]): Promise<string> {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (bytes <= smallBytes) return hashHere(parts);
    const hash = this.#last.then(() => this.#hash(parts));
    this.#last = hash.catch(() => undefined);
    return hash;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread?.close();
    this.#thread = null;
  }

  async #hash(parts: readonly HashedPart[]): Promise<string> {
    this.#thread ??= new HashThread();
    try {
      for (const part of parts)
        await this.#thread.update(typeof part === 'string' ? Buffer.from(part) : part);
      return await this.#thread.digest();
    } catch (error) {
      // What it has of this hash is in the way of the next one.
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }
}

/** Others have their turn between parts. */
async function hashHere(parts: readonly HashedPart[]): Promise<string> {
  const hash = createHash(algorithm);
  for (const part of parts) {
    await setImmediate();
    hash.update(part);
  }
  return hash.digest('hex');
}

type Answer = { readonly slot: number } | { readonly hash: string };

/** One hash at a time, by slots of shared memory: while one is hashed, the next are filled. */
class HashThread {
  readonly #slots = Array.from(
    { length: slotCount },
    () => new Uint8Array(new SharedArrayBuffer(slotBytes)),
  );
  readonly #free = this.#slots.map((_, slot) => slot);
  readonly #worker = new Worker(new URL('./byte-hash-worker.mjs', import.meta.url), {
    workerData: { slots: this.#slots, algorithm },
  });
  /** Who waits for an answer; null: nobody. */
  #waiting: { resolve(): void; reject(error: Error): void } | null = null;
  #hash: string | null = null;
  #failure: Error | null = null;

  constructor() {
    this.#worker.on('message', (answer: Answer) => this.#answered(answer));
    this.#worker.on('error', (error) => this.#fail(error.message));
    this.#worker.on('exit', () => this.#fail('it ended'));
    this.#worker.unref();
  }

  async update(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.byteLength; start += slotBytes) {
      while (this.#free.length === 0) await this.#answer();
      if (this.#failure) throw this.#failure;
      const slot = this.#free.pop() ?? 0;
      const piece = bytes.subarray(start, start + slotBytes);
      at(this.#slots, slot).set(piece);
      this.#worker.postMessage({ slot, bytes: piece.byteLength });
    }
  }

  async digest(): Promise<string> {
    this.#hash = null;
    this.#worker.postMessage(null);
    while (this.#hash === null) await this.#answer();
    return this.#hash;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  /** That a slot is free again, or the hash there. */
  #answer(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    this.#worker.ref();
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }

  #answered(answer: Answer): void {
    if ('slot' in answer) this.#free.push(answer.slot);
    else this.#hash = answer.hash;
    this.#takeWaiting()?.resolve();
  }

  #fail(reason: string): void {
    this.#failure ??= new CheckpointError('CHECKPOINT_IO_FAILED', `hashing thread: ${reason}`);
    this.#takeWaiting()?.reject(this.#failure);
  }

  #takeWaiting() {
    const waiting = this.#waiting;
    this.#waiting = null;
    this.#worker.unref();
    return waiting;
  }
}
