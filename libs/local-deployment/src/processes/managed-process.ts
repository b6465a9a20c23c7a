import type { ChildProcess } from 'node:child_process';

import type { ProcessExit } from '../supervision/machine.js';

/** Where a process listens. */
export interface ProcessEndpoint {
  /** `host:port`. */
  readonly address: string;
  /** Null: it has no page of metrics. */
  readonly metricsPort: number | null;
}

/** A process that this one started, and that it alone stops. */
export interface ManagedProcess {
  readonly pid: number | undefined;
  /** Resolves when it listens; for ever pending when it ends before. */
  readonly ready: Promise<ProcessEndpoint>;
  /** Never rejects. `error`: it could not even be started. */
  readonly exited: Promise<ProcessExit & { readonly error?: Error }>;
  /** Nothing happens when it has ended. */
  signal(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/**
 * How a child ends. Its pid may be another process's afterwards, so it is signalled through `child`
 * only.
 */
export function exitOf(child: ChildProcess): ManagedProcess['exited'] {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', (error) => {
      if (child.pid === undefined) resolve({ code: null, signal: null, error });
    });
  });
}
