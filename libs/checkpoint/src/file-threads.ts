import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

import { CheckpointError } from './errors.js';
import { fileThread, type FileAnswer, type FileRequest } from './file-worker.mjs';

const maxThreads = 4;

interface Task {
  readonly request: FileRequest;
  readonly resolve: (answer: FileAnswer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Threads that read ranges of files for what is found out about them. They start when they are
 * needed, and do not keep the process alive.
 */
export class FileThreads implements AsyncDisposable {
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Task>();
  readonly #queue: Task[] = [];
  #closed = false;

  constructor(
    /** For messages. */
    private readonly name: string,
    private readonly threads = Math.min(maxThreads, availableParallelism()),
  ) {}

  get isClosed(): boolean {
    return this.#closed;
  }

  /** @throws CheckpointError CHECKPOINT_IO_FAILED */
  run(request: FileRequest): Promise<FileAnswer> {
    if (this.#closed) return Promise.reject(ioFailed(`${this.name}: is closed`));
    return new Promise((resolve, reject) => {
      this.#queue.push({ request, resolve, reject });
      this.#next();
    });
  }

  /** What is not done by now is refused. */
  async close(): Promise<void> {
    this.#closed = true;
    const open = [...this.#idle, ...this.#busy.keys()];
    const tasks = [...this.#busy.values(), ...this.#queue];
    this.#busy.clear();
    this.#queue.length = 0;
    this.#idle.length = 0;
    for (const { reject } of tasks) reject(ioFailed(`${this.name}: was closed`));
    await Promise.all(open.map((worker) => worker.terminate()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #next(): void {
    const [task] = this.#queue;
    const worker = task && (this.#idle.pop() ?? this.#start());
    if (!task || !worker) return;
    this.#queue.shift();
    this.#busy.set(worker, task);
    worker.ref();
    worker.postMessage(task.request);
  }

  #start(): Worker | null {
    if (this.#busy.size >= this.threads) return null;
    const worker = new Worker(new URL('./file-worker.mjs', import.meta.url), {
      workerData: fileThread,
    });
    worker.on('message', (answer: FileAnswer) =>
      this.#done(worker, answer.error === undefined ? answer : ioFailed(answer.error)),
    );
    worker.on('error', (error) => this.#done(worker, ioFailed(error.message)));
    worker.on('exit', () => this.#forget(worker));
    return worker;
  }

  #forget(worker: Worker): void {
    const index = this.#idle.indexOf(worker);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  #done(worker: Worker, result: FileAnswer | Error): void {
    const task = this.#busy.get(worker);
    if (!task) return;
    this.#busy.delete(worker);
    worker.unref();
    this.#idle.push(worker);
    if (result instanceof Error) task.reject(result);
    else task.resolve(result);
    this.#next();
  }
}

export function ioFailed(message: string): CheckpointError {
  return new CheckpointError('CHECKPOINT_IO_FAILED', message);
}
