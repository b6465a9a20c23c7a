import { Worker } from 'node:worker_threads';

import { ServiceError } from '../errors.js';
import {
  fromWireError,
  toWireError,
  type FromWorker,
  type Moved,
  type ToWorker,
  type WorkerContract,
} from './messages.js';
import { lowerPriority } from './thread-priority.js';

export interface RunOptions<C extends WorkerContract> {
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: C['event']) => void;
  /** Does for the worker what the main thread owns: sends a tensor, fetches a layer. */
  readonly onRequest?: (
    request: C['request'],
    signal: AbortSignal,
  ) => Promise<C['response'] | Moved<C['response']>>;
}

/** A thread for the engine; the thread that holds this owns the wires and never blocks. */
export interface WorkerHost<C extends WorkerContract> {
  /**
   * Runs a task. A thread that dies takes its tasks with it; the next task starts another.
   * @throws what the task threw, with name, code and message; ServiceError WORKER_FAILED,
   * WORKER_CLOSED
   */
  run(task: C['task'], options?: RunOptions<C>): Promise<C['result']>;
  /**
   * Gives the thread the lowest priority, for good; where the system knows none of threads, nothing
   * happens.
   */
  lowerPriority(): void;
  /** Ends the thread; tasks in progress fail with WORKER_CLOSED. */
  close(): Promise<void>;
}

export interface WorkerHostOptions {
  /** For the thread, as `workerData`. */
  readonly data?: unknown;
  readonly maxOldGenerationMib?: number;
}

/**
 * @param file of a program that calls `serveWorker`: `new URL('./engine-worker.js',
 * import.meta.url)`
 */
export function createWorkerHost<C extends WorkerContract>(
  file: URL,
  options: WorkerHostOptions = {},
): WorkerHost<C> {
  return new ThreadHost<C>(file, options);
}

interface RunningTask<C extends WorkerContract> {
  readonly options: RunOptions<C>;
  /** Aborts when the task has ended, whatever way. */
  readonly ended: AbortController;
  resolve(result: C['result']): void;
  reject(error: Error): void;
}

class ThreadHost<C extends WorkerContract> implements WorkerHost<C> {
  readonly #tasks = new Map<number, RunningTask<C>>();
  #worker: Worker | undefined;
  #thread: number | null = null;
  #nextId = 1;
  #closed = false;

  constructor(
    private readonly file: URL,
    private readonly options: WorkerHostOptions,
  ) {}

  run(task: C['task'], options: RunOptions<C> = {}): Promise<C['result']> {
    return new Promise((resolve, reject) => {
      if (this.#closed)
        throw new ServiceError('WORKER_CLOSED', `worker ${this.#name()}: it is closed`);
      options.signal?.throwIfAborted();
      const id = this.#nextId++;
      const aborted = new Int32Array(new SharedArrayBuffer(4));
      this.#tasks.set(id, { options, ended: new AbortController(), resolve, reject });
      const abort = (): void => {
        Atomics.store(aborted, 0, 1);
        this.#post({ type: 'abort', id });
      };
      options.signal?.addEventListener('abort', abort, {
        once: true,
        signal: this.#tasks.get(id)?.ended.signal,
      });
      this.#worker ??= this.#start();
      this.#post({ type: 'run', id, task, aborted });
    });
  }

  lowerPriority(): void {
    if (this.#worker && this.#thread !== null) lowerPriority(this.#thread);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#worker = undefined;
    this.#failAll(new ServiceError('WORKER_CLOSED', `worker ${this.#name()}: it was closed`));
    await worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(this.file, {
      workerData: this.options.data,
      ...(this.options.maxOldGenerationMib === undefined
        ? {}
        : { resourceLimits: { maxOldGenerationSizeMb: this.options.maxOldGenerationMib } }),
    });
    worker.on('message', (message: FromWorker) => this.#receive(message));
    worker.once('error', (cause) => this.#died(worker, cause));
    worker.once('exit', (code) => this.#died(worker, new Error(`it exited with code ${code}`)));
    return worker;
  }

  #receive(message: FromWorker): void {
    if (message.type === 'started') {
      this.#thread = message.thread;
      return;
    }
    const task = this.#tasks.get(message.id);
    if (!task) return;
    switch (message.type) {
      case 'event':
        return task.options.onEvent?.(message.event);
      case 'request':
        return void this.#answer(task, message.id, message.requestId, message.request);
      case 'result':
        return this.#end(message.id, (ended) => ended.resolve(message.result));
      case 'error':
        return this.#end(message.id, (ended) => ended.reject(fromWireError(message.error)));
    }
  }

  async #answer(
    task: RunningTask<C>,
    id: number,
    requestId: number,
    request: unknown,
  ): Promise<void> {
    try {
      if (!task.options.onRequest)
        throw new ServiceError(
          'WORKER_FAILED',
          `worker ${this.#name()}: nobody answers its requests`,
        );
      const answer = await task.options.onRequest(request, task.ended.signal);
      if (isMoved(answer))
        this.#post({ type: 'response', id, requestId, value: answer.value }, answer.transfer);
      else this.#post({ type: 'response', id, requestId, value: answer });
    } catch (error) {
      this.#post({ type: 'refusal', id, requestId, error: toWireError(error) });
    }
  }

  #post(message: ToWorker, transfer: Moved<unknown>['transfer'] = []): void {
    this.#worker?.postMessage(message, [...transfer]);
  }

  #end(id: number, settle: (task: RunningTask<C>) => void): void {
    const task = this.#tasks.get(id);
    if (!task || !this.#tasks.delete(id)) return;
    task.ended.abort();
    settle(task);
  }

  #died(worker: Worker, cause: Error): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    this.#thread = null;
    this.#failAll(
      new ServiceError(
        'WORKER_FAILED',
        `worker ${this.#name()}: the thread died: ${cause.message}`,
        { cause },
      ),
    );
  }

  #failAll(error: Error): void {
    for (const id of [...this.#tasks.keys()]) this.#end(id, (task) => task.reject(error));
  }

  #name(): string {
    return this.file.pathname.slice(this.file.pathname.lastIndexOf('/') + 1);
  }
}

/** Marks what a response moves to the other thread. */
export function moved<T>(value: T, transfer: Moved<T>['transfer']): Moved<T> {
  return new MovedValue(value, transfer);
}

class MovedValue<T> implements Moved<T> {
  constructor(
    readonly value: T,
    readonly transfer: Moved<T>['transfer'],
  ) {}
}

function isMoved<T>(value: T | Moved<T>): value is Moved<T> {
  return value instanceof MovedValue;
}
