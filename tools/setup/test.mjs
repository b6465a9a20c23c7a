/**
 * `npm test`: build, all tests. `npm test -- --check` runs `npm run check` beside them, one check
 * after another, which takes a processor while tests wait. `npm test -- PATTERN ...` passes its
 * arguments to jest and runs only that. The last line is `tests: N passed, N failed`; the exit
 * status is 0 only when every step passed and a test ran.
 */
import process from 'node:process';

import { runChecks } from './checks.mjs';
import { ensureInstalled } from './ensure-install.mjs';
import { summarize } from './jest-summary.mjs';
import { runJest } from './run-jest.mjs';
import { standards } from './standards.mjs';
import {
  chromium,
  ensureSystemPackages,
  natsServer,
  openBlas,
  prometheus,
} from './system-packages.mjs';

const jestArguments = process.argv.slice(2).filter((argument) => argument !== '--check');
const isChecked = jestArguments.length < process.argv.length - 2;
/** @type {import('./checks.mjs').Check} */
const build = ['build', ['tools/setup/build.mjs']];
ensureInstalled();
ensureSystemPackages([openBlas, natsServer, prometheus, chromium]);
const isWhole = jestArguments.length === 0;
const checking = runChecks(isChecked ? [standards] : []);
const failedBuild = await runChecks(isWhole ? [[build]] : []);
const tests = summarize(await runJest(jestArguments));
const failedChecks = [...failedBuild, ...(await checking)];
if (failedChecks.length > 0) console.log(`failed: ${failedChecks.join(', ')}`);
if (tests.skipped > 0) console.log(`skipped: ${tests.skipped} tests`);
console.log(tests.line);
process.exitCode = failedChecks.length === 0 && tests.ok ? 0 : 1;
