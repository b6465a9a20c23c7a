// Replaces an output, or settles one, and is killed before one of the calls that change the disk:
// MODE FOLDER CALL [RECORD]. Call 0 is never reached. With `fill` it is not killed: from the call
// on that takes space, counted apart, the disk is full. Into the folder RECORD it copies, before
// every call, what lies beside the output and there: what a kill at that call would leave.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';

import { settleOutput } from '../src/output/held-place.js';
import { replaceOutput } from './output-states.js';

/** What it does. */
export type ReplaceMode = 'replace' | 'settle' | 'fill';

const [mode, folder = '', call = '0', record = null] = process.argv.slice(2) as [
  ReplaceMode,
  ...string[],
];
const names = ['open', 'rename', 'rm', 'rmdir', 'unlink', 'mkdir', 'symlink', 'chmod'] as const;
type Call = (...values: unknown[]) => Promise<unknown>;
let calls = 0;
let creations = 0;

const promises = fs.promises as unknown as Record<(typeof names)[number], Call>;
for (const name of names) {
  const original = promises[name];
  promises[name] = (...values) => {
    if (mode === 'fill') {
      if (takesSpace(name, values)) creations += 1;
      return takesSpace(name, values) && creations >= Number(call)
        ? Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC', syscall: name }))
        : original.apply(fs.promises, values);
    }
    calls += 1;
    if (record !== null) copyTree(dirname(folder), join(record, String(calls)));
    if (calls !== Number(call)) return original.apply(fs.promises, values);
    process.kill(process.pid, 'SIGKILL');
    return new Promise(() => undefined);
  };
}
syncBuiltinESMExports();

/** One call at a time changes the disk, so that nothing moves meanwhile. */
function copyTree(from: string, to: string): void {
  fs.cpSync(from, to, { recursive: true, verbatimSymlinks: true });
}

function takesSpace(name: string, [path, flags]: readonly unknown[]): boolean {
  if (name === 'open') return typeof flags === 'string' && flags.startsWith('w');
  return name === 'symlink' || (name === 'mkdir' && !fs.existsSync(String(path)));
}

if (mode === 'settle') await settleOutput(folder);
else {
  await replaceOutput(folder).catch((error: unknown) => {
    if (mode !== 'fill' || (error as { code?: unknown }).code !== 'CHECKPOINT_DISK_FULL')
      throw error;
    process.stdout.write('full ');
  });
}
process.stdout.write(String(calls));
