import { spawn } from 'node:child_process';

import { onLines } from './lines.js';
import { endpointIn } from './log-line.js';
import { exitOf, type ManagedProcess } from './managed-process.js';

export interface ServiceProgram {
  /** JavaScript file. */
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Starts a service. It runs in a session of its own, so that Ctrl-C in the terminal reaches it
 * through its supervisor only, and it ends itself when its standard input ends, which it does when
 * this process dies in whatever way.
 */
export function startServiceProcess(
  { file, args, env }: ServiceProgram,
  onLine: (line: string) => void,
): ManagedProcess {
  const child = spawn(process.execPath, ['--enable-source-maps', file, ...args], {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...env, EMLOC_PARENT_WATCH: 'stdin' },
  });
  child.once('error', (error) => onLine(error.message));
  child.stdin.on('error', () => undefined);
  onLines(child.stdout, onLine);
  const ready = new Promise<NonNullable<ReturnType<typeof endpointIn>>>((resolve) => {
    onLines(child.stderr, (line) => {
      onLine(line);
      const endpoint = endpointIn(line);
      if (endpoint) resolve(endpoint);
    });
  });
  return {
    pid: child.pid,
    ready,
    exited: exitOf(child),
    signal: (signal) => void child.kill(signal),
  };
}
