import { parentPort } from 'node:worker_threads';

import { ServiceError } from '../errors.js';
import {
  fromWireError,
  toWireError,
  type FromWorker,
  type Moved,
  type ToWorker,
  type WorkerContract,
} from './messages.js';
import { systemThread } from './thread-priority.js';

/** What a task in a worker thread can do. */
export interface WorkerContext<C extends WorkerContract> {
  /** Aborts when the main thread asks for it and the event loop turns. */
  readonly signal: AbortSignal;
  /** The same, also while the event loop is blocked: for loops of synchronous work. */
  isAborted(): boolean;
  emit(event: C['event']): void;
  /** Has the main thread do something; what it throws is thrown here. */
  request(request: C['request'], transfer?: Moved<unknown>['transfer']): Promise<C['response']>;
}

interface ServedTask {
  readonly controller: AbortController;
  readonly requests: Map<number, { resolve(value: unknown): void; reject(error: Error): void }>;
}

/**
 * Answers the tasks of the thread's host, for as long as the thread lives. Called once, by the
 * worker's program.
 */
export function serveWorker<C extends WorkerContract>(
  run: (task: C['task'], context: WorkerContext<C>) => Promise<C['result']>,
): void {
  const port = parentPort;
  if (!port)
    throw new ServiceError('WORKER_FAILED', 'serveWorker was called outside a worker thread');
  const tasks = new Map<number, ServedTask>();
  const post = (message: FromWorker, transfer: Moved<unknown>['transfer'] = []): void =>
    port.postMessage(message, [...transfer]);
  post({ type: 'started', thread: systemThread() });
  port.on('message', (message: ToWorker) => {
    const task = tasks.get(message.id);
    switch (message.type) {
      case 'run':
        return void serve(message, tasks, post, run);
      case 'abort':
        return task?.controller.abort();
      case 'response':
        return task?.requests.get(message.requestId)?.resolve(message.value);
      case 'refusal':
        return task?.requests.get(message.requestId)?.reject(fromWireError(message.error));
    }
  });
}

async function serve<C extends WorkerContract>(
  { id, task, aborted }: Extract<ToWorker, { type: 'run' }>,
  tasks: Map<number, ServedTask>,
  post: (message: FromWorker, transfer?: Moved<unknown>['transfer']) => void,
  run: (task: C['task'], context: WorkerContext<C>) => Promise<C['result']>,
): Promise<void> {
  const served: ServedTask = { controller: new AbortController(), requests: new Map() };
  tasks.set(id, served);
  let nextRequest = 1;
  const context: WorkerContext<C> = {
    signal: served.controller.signal,
    isAborted: () => Atomics.load(aborted, 0) === 1,
    emit: (event) => post({ type: 'event', id, event }),
    request: (request, transfer) =>
      new Promise((resolve, reject) => {
        const requestId = nextRequest++;
        const settle = (): void => void served.requests.delete(requestId);
        served.requests.set(requestId, {
          resolve: (value) => {
            settle();
            resolve(value);
          },
          reject: (error) => {
            settle();
            reject(error);
          },
        });
        post({ type: 'request', id, requestId, request }, transfer);
      }),
  };
  try {
    post({ type: 'result', id, result: await run(task, context) });
  } catch (error) {
    post({ type: 'error', id, error: toWireError(error) });
  } finally {
    tasks.delete(id);
  }
}
