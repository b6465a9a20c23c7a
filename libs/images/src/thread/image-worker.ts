import { parentPort } from 'node:worker_threads';

import { LocalImageReader } from '../image-reader.js';
import { toWireError, type FromThread, type ImageTask, type ToThread } from './messages.js';

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
  return { type: 'done', values: await read(task, signal) };
}

function read(
  task: ImageTask,
  signal: Pick<AbortSignal, 'throwIfAborted'>,
): Promise<Float32Array | Uint8Array> {
  switch (task.type) {
    case 'patches':
      return reader.patches(task.input, task.options, signal);
    case 'tiles':
      return reader.tiles(task.input, task.options, signal);
    case 'pixels':
      return reader.pixels(task.input, task.options, signal);
  }
}
