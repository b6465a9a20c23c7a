import process from 'node:process';
import { Worker } from 'node:worker_threads';

import { limits } from './judge.js';
import type { Workplace } from './target.js';
import type { CaseReport, CaseRequest } from './thread-messages.js';

const sampleMs = 100;
/** What a process of this kind takes beside its cases, garbage of earlier ones included. */
const ownBytes = 2 ** 29;

/**
 * A thread for cases that read in it: one that hangs, or takes too much memory, is ended, and the
 * next case has a thread of its own.
 */
export class CaseThread {
  #worker: Worker | null = null;

  constructor(private readonly place: Workplace) {}

  run(request: CaseRequest): Promise<CaseReport> {
    const worker = (this.#worker ??= this.#start());
    const startMs = performance.now();
    const before = process.cpuUsage();
    return new Promise((resolve) => {
      const settle = (report: CaseReport): void => {
        clearInterval(timer);
        worker.off('message', settle).off('error', onError).off('exit', onExit);
        resolve(report);
      };
      const fail = (problem: string): void => {
        this.#worker = null;
        void worker.terminate().finally(() => settle({ isTaken: false, problem }));
      };
      const timer = setInterval(() => {
        const excess = excessOf(performance.now() - startMs, process.cpuUsage(before));
        if (excess !== null) fail(excess);
      }, sampleMs);
      const onError = (error: Error): void =>
        fail(`the thread ended: ${error.stack ?? error.message}`);
      const onExit = (code: number): void => fail(`the thread ended with code ${code}`);
      worker.on('message', settle).on('error', onError).on('exit', onExit);
      worker.postMessage(request);
    });
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
    this.#worker = null;
  }

  #start(): Worker {
    return new Worker(new URL('./thread.js', import.meta.url), { workerData: this.place });
  }
}

function excessOf(clockMs: number, { user, system }: NodeJS.CpuUsage): string | null {
  if (user + system > 1000 * limits.processorMs)
    return `it took more than ${limits.processorMs / 1000} s of the processor`;
  if (clockMs > limits.clockMs) return `it took more than ${limits.clockMs / 1000} s`;
  const bytes = process.memoryUsage.rss();
  const most = limits.memoryBytes + ownBytes;
  return bytes > most
    ? `the process took ${Math.round(bytes / 2 ** 20)} MiB, at most ${most / 2 ** 20} are right`
    : null;
}
