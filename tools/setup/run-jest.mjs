import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

import { workspaceRoot } from './workspace.mjs';

/** A file system in memory, where tests need not wait for a disk that they ask to write through. */
const memoryFolder = '/dev/shm';
/** What the tests' files may take there, several times over. */
const spareBytes = 6 * 2 ** 30;

/**
 * Arguments of node that start jest. A suite's modules are loaded anew, which leaves much that is
 * soon garbage: with Node's own young generation a sixth of a small suite's time is collecting it.
 */
export const jestProgram = [
  '--experimental-vm-modules',
  '--no-warnings=ExperimentalWarning',
  '--max-semi-space-size=64',
  'node_modules/jest/bin/jest.js',
];

/**
 * Runs jest with two workers. Tests have a temporary folder of their own, which is gone afterwards.
 * @param {readonly string[]} args
 * @returns {Promise<import('./jest-summary.mjs').JestResult | null>} null when jest wrote no result
 */
export async function runJest(args) {
  const folder = mkdtempSync(join(temporaryRoot(), 'emloc-jest-'));
  const [outputFile, temporary] = [join(folder, 'result.json'), join(folder, 't')];
  mkdirSync(temporary);
  // Some tests run programs as another user there.
  chmodSync(folder, 0o755);
  try {
    await startJest(['--maxWorkers=2', '--json', `--outputFile=${outputFile}`, ...args], temporary);
    return existsSync(outputFile) ? JSON.parse(readFileSync(outputFile, 'utf8')) : null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Ends when jest has, with this process's output.
 * @param {readonly string[]} args
 * @param {string} temporary
 * @returns {Promise<void>}
 */
function startJest(args, temporary) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...jestProgram, ...args], {
      cwd: workspaceRoot,
      env: { ...process.env, TMPDIR: temporary },
      stdio: 'inherit',
    });
    child.once('error', ({ message }) => {
      console.error(`jest: ${message}`);
      resolve();
    });
    child.once('close', () => resolve());
  });
}

function temporaryRoot() {
  if (process.env['TMPDIR'] !== undefined || !existsSync(memoryFolder)) return tmpdir();
  const { bavail, bsize } = statfsSync(memoryFolder);
  return bavail * bsize >= spareBytes && freemem() >= 2 * spareBytes ? memoryFolder : tmpdir();
}
