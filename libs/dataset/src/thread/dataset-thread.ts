import { Worker } from 'node:worker_threads';

import type { DatasetSession, TextSource } from '../dataset-session.js';
import { DatasetError } from '../errors.js';
import type { DatasetRequest, DatasetSummary, RowOutcome } from '../rows/read-dataset.js';
import { fromWireError, type FromThread, type ToThread } from './messages.js';

/** Of what rows, templates and tokenizers make in the thread: no file is trusted with more. */
const maxHeapMiB = 1024;

/**
 * A session in a thread of its own, so that a signal ends it at once, whatever a template or a
 * tokenizer is at. The thread is started when it is first asked.
 */
export function openDatasetThread(source: TextSource): DatasetSession {
  return new DatasetThread(source);
}

class DatasetThread implements DatasetSession {
  #worker: Worker | undefined;

  constructor(private readonly source: TextSource) {}

  async describe(): ReturnType<DatasetSession['describe']> {
    const answer = await this.#ask({ type: 'describe' });
    return answer.type === 'described' ? answer.description : unexpected(answer);
  }

  async *read(
    request: DatasetRequest,
    signal?: AbortSignal,
  ): AsyncGenerator<RowOutcome, DatasetSummary> {
    let isOpen = true;
    try {
      let answer = await this.#ask({ type: 'read', request }, signal);
      while (answer.type === 'outcomes') {
        yield* answer.outcomes;
        answer = await this.#ask({ type: 'next' }, signal);
      }
      isOpen = false;
      return answer.type === 'end' ? answer.summary : unexpected(answer);
    } finally {
      if (isOpen && this.#worker && signal?.aborted !== true) await this.#ask({ type: 'stop' });
    }
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Ends the thread when the signal comes first. */
  #ask(message: ToThread, signal?: AbortSignal): Promise<FromThread> {
    signal?.throwIfAborted();
    const worker = (this.#worker ??= this.#start());
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => (): void => {
        worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        signal?.removeEventListener('abort', onAbort);
        act();
      };
      const fail = (error: unknown): void => {
        this.#worker = undefined;
        reject(error as Error);
      };
      const onMessage = (answer: FromThread): void =>
        settle(() =>
          answer.type === 'failed' ? reject(fromWireError(answer.error)) : resolve(answer),
        )();
      const onError = (error: Error): void => settle(() => fail(died(error)))();
      const onExit = (): void =>
        settle(() => fail(new Error('the thread that reads rows ended')))();
      const onAbort = (): void =>
        settle(() => {
          void worker.terminate();
          fail(signal?.reason);
        })();
      worker.on('message', onMessage).on('error', onError).on('exit', onExit);
      signal?.addEventListener('abort', onAbort);
      worker.postMessage(message);
    });
  }

  #start(): Worker {
    return new Worker(new URL('./dataset-worker.js', import.meta.url), {
      workerData: this.source,
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMiB },
    });
  }
}

function died(error: Error): Error {
  return (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY'
    ? new DatasetError(
        'DATASET_UNREADABLE',
        `data set: a row or the tokenizer takes more than ${maxHeapMiB} MiB of memory`,
        { cause: error },
      )
    : error;
}

function unexpected(answer: FromThread): never {
  throw new Error(`the thread that reads rows answered ${answer.type}`);
}
