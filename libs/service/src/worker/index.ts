export { createWorkerHost, moved, type RunOptions, type WorkerHost } from './host.js';
export type { Moved, WorkerContract } from './messages.js';
export { serveWorker, type WorkerContext } from './serve.js';
