import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** Looks every few milliseconds until it is told to stop; then tells the most that it has seen. */
const program = `
const { lstatSync, readdirSync } = require('node:fs');
const { parentPort, receiveMessageOnPort, workerData: folder } = require('node:worker_threads');
const { join } = require('node:path');
const usedIn = (path) => readdirSync(path, { withFileTypes: true }).reduce((sum, entry) => {
  try {
    const own = lstatSync(join(path, entry.name)).blocks * 512;
    return sum + own + (entry.isDirectory() ? usedIn(join(path, entry.name)) : 0);
  } catch {
    return sum;
  }
}, 0);
const at = () => { try { return usedIn(folder); } catch { return 0; } };
const pause = new Int32Array(new SharedArrayBuffer(4));
let most = 0;
while (!receiveMessageOnPort(parentPort)) {
  most = Math.max(most, at());
  Atomics.wait(pause, 0, 0, 2);
}
parentPort.postMessage(most);
`;

/** The most bytes that a folder takes on its disk, until the function that this gives is called. */
export function watchDisk(folder: string): () => Promise<number> {
  const worker = new Worker(program, { eval: true, workerData: folder });
  return async () => {
    const told = once(worker, 'message');
    worker.postMessage('stop');
    const [most] = (await told) as [number];
    await worker.terminate();
    return most;
  };
}
