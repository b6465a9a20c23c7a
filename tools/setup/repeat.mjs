/**
 * `npm run test:repeat -- [--times N] [--log FILE] [PATTERN ...]`: runs the tests N times (3), adds
 * a line to the log for each run, and sums up the whole log, so that runs can be spread out.
 */
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';

import { runNode } from './command.mjs';
import { recordOf, summarizeRuns } from './repeat-summary.mjs';
import { runJest } from './run-jest.mjs';
import { workspaceRoot } from './workspace.mjs';

const { values, positionals } = parseArgs({
  options: {
    times: { type: 'string', default: '3' },
    log: { type: 'string', default: 'out/test-repeat.jsonl' },
  },
  allowPositionals: true,
});
const times = Number(values.times);
if (!Number.isInteger(times) || times < 0)
  throw new Error(`--times is '${values.times}': a whole number, 0 or more`);
const log = resolve(workspaceRoot, values.log);
mkdirSync(dirname(log), { recursive: true });
process.exitCode = times > 0 ? runNode(['tools/setup/build.mjs']) : 0;

for (let run = 0; run < times; run += 1) {
  const [at, startMs] = [new Date().toISOString(), performance.now()];
  const result = await runJest(positionals);
  const seconds = (performance.now() - startMs) / 1000;
  const record = recordOf(result, { at, seconds, root: workspaceRoot });
  appendFileSync(log, `${JSON.stringify(record)}\n`);
  if (record.failures.length > 0) process.exitCode = 1;
}
const lines = readFileSync(log, 'utf8').split('\n').filter(Boolean);
console.log(summarizeRuns(lines.map((line) => JSON.parse(line))));
