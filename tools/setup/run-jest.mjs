import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { runNode } from './command.mjs';

/**
 * Runs jest with two workers.
 * @param {readonly string[]} args
 * @returns {import('./jest-summary.mjs').JestResult | null} null when jest wrote no result
 */
export function runJest(args) {
  const folder = mkdtempSync(join(tmpdir(), 'emloc-jest-'));
  const outputFile = join(folder, 'result.json');
  try {
    runNode([
      '--experimental-vm-modules',
      '--no-warnings=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
      '--maxWorkers=2',
      '--json',
      `--outputFile=${outputFile}`,
      ...args,
    ]);
    return existsSync(outputFile) ? JSON.parse(readFileSync(outputFile, 'utf8')) : null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
