import { parentPort } from 'node:worker_threads';

import { LocalImageReader } from '../image-reader.js';
import { toWireError, type FromThread, type ToThread } from './messages.js';

const reader = new LocalImageReader();

parentPort?.on('message', (message: ToThread) => {
  void answer(message)
    .catch((error: unknown): FromThread => ({ type: 'failed', error: toWireError(error) }))
    .then((response) =>
      parentPort?.postMessage(
        response,
        response.type === 'done' ? [response.values.buffer as ArrayBuffer] : [],
      ),
    );
});

async function answer({ task, cancelled }: ToThread): Promise<FromThread> {
  const signal = {
    throwIfAborted: () => {
      if (Atomics.load(cancelled, 0) !== 0) throw new Error('the image is not wanted any more');
    },
  };
  const values =
    task.type === 'patches'
      ? await reader.patches(task.input, task.options, signal)
      : await reader.tiles(task.input, task.options, signal);
  return { type: 'done', values };
}
