// Replaces an output, or settles one, and is killed before one of the calls that change the disk:
// MODE FOLDER CALL. Call 0 is never reached.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import process from 'node:process';

import { holdPlace, settleOutput } from '../src/output/held-place.js';
import { writeOutput } from '../src/output/write-output.js';
import { layOutAdapter } from './output-states.js';

/** What it does. */
export type ReplaceMode = 'replace' | 'settle';

const [mode, folder = '', call = '0'] = process.argv.slice(2) as [ReplaceMode, ...string[]];
const names = ['open', 'rename', 'rm', 'rmdir', 'unlink', 'mkdir', 'symlink', 'chmod'] as const;
type Call = (...values: unknown[]) => Promise<unknown>;
let calls = 0;

const promises = fs.promises as unknown as Record<(typeof names)[number], Call>;
for (const name of names) {
  const original = promises[name];
  promises[name] = (...values) => {
    calls += 1;
    if (calls !== Number(call)) return original.apply(fs.promises, values);
    process.kill(process.pid, 'SIGKILL');
    return new Promise(() => undefined);
  };
}
syncBuiltinESMExports();

if (mode === 'settle') await settleOutput(folder);
else {
  const place = await holdPlace(folder);
  await writeOutput(place, (temporary) => layOutAdapter(temporary, 'new'), { overwrite: true });
  await place.release();
}
process.stdout.write(String(calls));
