import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { until } from '@emloc/time/testing';

/** What users start. */
export const command = fileURLToPath(new URL('../bin/emloc.cjs', import.meta.url));

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A signal, sent once the output matches a pattern, a file is there or something else holds. */
export interface Interruption {
  readonly signal: NodeJS.Signals;
  readonly moment: RegExp | string | (() => boolean);
}

/** Runs the command in a folder as a user does. */
export function runEmloc(
  args: readonly string[],
  {
    folder,
    interruption,
    env = {},
  }: {
    readonly folder: string;
    readonly interruption?: Interruption;
    /** Added to this process's own. */
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [command, ...args], {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    let isOver = false;
    child.on('error', reject);
    child.on('close', (code) => {
      isOver = true;
      resolve({ code, stdout, stderr });
    });
    if (!interruption) return;
    const { moment, signal } = interruption;
    until(() => isOver || hasCome(moment, stdout + stderr), `the moment of ${signal}`).then(
      () => isOver || child.kill(signal),
      reject,
    );
  });
}

function hasCome(moment: Interruption['moment'], output: string): boolean {
  if (typeof moment === 'function') return moment();
  return typeof moment === 'string' ? existsSync(moment) : moment.test(output);
}
