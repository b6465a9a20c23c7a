import { spawnSync } from 'node:child_process';
import process from 'node:process';

import { workspaceRoot } from './workspace.mjs';

/**
 * Runs a command in the repository's root with this process's output.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: Record<string, string>, timeoutMs?: number, quiet?: boolean }} [options] `quiet`
 * shows output only on failure
 * @returns {number} the exit status; 1 when it could not be started, was killed or ran past
 * `timeoutMs`
 */
export function runCommand(command, args, { env = {}, timeoutMs, quiet = false } = {}) {
  const result = spawnSync(command, args, {
    cwd: workspaceRoot,
    env: { ...process.env, ...env },
    stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    timeout: timeoutMs,
    maxBuffer: 64 * 1024 * 1024,
    // npm is a script on Windows, and scripts start only through a shell there.
    shell: process.platform === 'win32' && command === 'npm',
  });
  if (result.error) console.error(`${command}: ${result.error.message}`);
  const status = result.error ? 1 : (result.status ?? 1);
  if (quiet && status !== 0) process.stderr.write(`${result.stdout}${result.stderr}`);
  return status;
}

/**
 * Runs a Node program of this repository (`args[0]`, relative to the root).
 * @param {readonly string[]} args
 * @param {Parameters<typeof runCommand>[2]} [options]
 */
export function runNode(args, options) {
  return runCommand(process.execPath, args, options);
}
