import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

import { ImageError } from '../errors.js';
import type { DecodeOptions, ImageInput } from '../image-input.js';
import type { ImageReader } from '../image-reader.js';
import type { PatchOptions } from '../patches.js';
import type { PixelPlan } from '../pixels.js';
import type { Tiling } from '../tiling.js';
import { AbortListeners } from './abort-listeners.js';
import { fromWireError, type FromThread, type ImageTask, type ToThread } from './messages.js';

const mostThreads = 4;

/** Somebody who waits for an image. */
interface Waiting {
  readonly message: ToThread;
  /** Settles the promise, once. */
  readonly settle: (result: Float32Array | Uint8Array | Error) => void;
}

/**
 * Reads images in threads of its own, one image a thread, so that memory is bounded by their
 * number; others wait their turn, and whichever is ready first is answered first. Threads start
 * when they are needed, keep no process alive while they have nothing to do, and end with the pool.
 */
export class ImagePool implements ImageReader {
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Waiting>();
  readonly #listeners = new AbortListeners();
  #queue: Waiting[] = [];
  #isClosed = false;

  constructor(private readonly threads = Math.min(mostThreads, availableParallelism())) {}

  async patches(
    input: ImageInput,
    options: PatchOptions,
    signal?: AbortSignal,
  ): Promise<Float32Array> {
    return (await this.#read({ type: 'patches', input, options }, signal)) as Float32Array;
  }

  async tiles(
    input: ImageInput,
    options: Tiling & DecodeOptions,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    return (await this.#read({ type: 'tiles', input, options }, signal)) as Uint8Array;
  }

  async pixels(input: ImageInput, plan: PixelPlan, signal?: AbortSignal): Promise<Float32Array> {
    return (await this.#read({ type: 'pixels', input, options: plan }, signal)) as Float32Array;
  }

  /** Refuses what is not done by now, and ends the threads. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const waiting = [...this.#busy.values(), ...this.#queue];
    const workers = [...this.#busy.keys(), ...this.#idle];
    this.#busy.clear();
    this.#queue = [];
    this.#idle.length = 0;
    for (const { message, settle } of waiting) {
      cancel(message);
      settle(closed());
    }
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #read(task: ImageTask, signal?: AbortSignal): Promise<Float32Array | Uint8Array> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#isClosed) throw closed();
      const message = { task, cancelled: new Int32Array(new SharedArrayBuffer(4)) };
      const settle: Waiting['settle'] = (result) => {
        listening?.[Symbol.dispose]();
        if (result instanceof Error) reject(result);
        else resolve(result);
      };
      const waiting = { message, settle };
      // A thread ends what it is at by itself, soon, and keeps its place until then.
      const onAbort = (): void => {
        cancel(message);
        this.#queue = this.#queue.filter((one) => one !== waiting);
        settle(signal?.reason as Error);
      };
      const listening = signal && this.#listeners.listen(signal, onAbort);
      this.#queue.push(waiting);
      this.#next();
    });
  }

  #next(): void {
    const [waiting] = this.#queue;
    const worker = waiting && (this.#idle.pop() ?? this.#start());
    if (!waiting || !worker) return;
    this.#queue.shift();
    this.#busy.set(worker, waiting);
    worker.ref();
    worker.postMessage(waiting.message);
  }

  #start(): Worker | null {
    if (this.#busy.size >= this.threads) return null;
    const worker = new Worker(new URL('./image-worker.js', import.meta.url));
    worker.on('message', (answer: FromThread) => this.#answered(worker, answer));
    worker.on('error', (error) => this.#died(worker, error));
    worker.on('exit', () => this.#died(worker, new Error('a thread that reads images ended')));
    return worker;
  }

  #answered(worker: Worker, answer: FromThread): void {
    const waiting = this.#busy.get(worker);
    if (!waiting) return;
    this.#busy.delete(worker);
    worker.unref();
    this.#idle.push(worker);
    waiting.settle(answer.type === 'done' ? answer.values : fromWireError(answer.error));
    this.#next();
  }

  /** Its image fails; the next one gets another thread. */
  #died(worker: Worker, error: Error): void {
    const waiting = this.#busy.get(worker);
    this.#busy.delete(worker);
    const index = this.#idle.indexOf(worker);
    if (index >= 0) this.#idle.splice(index, 1);
    waiting?.settle(error);
    if (waiting) this.#next();
  }
}

function cancel({ cancelled }: ToThread): void {
  Atomics.store(cancelled, 0, 1);
}

function closed(): ImageError {
  return new ImageError('IMAGE_POOL_CLOSED', 'images: the pool that reads them is closed');
}
