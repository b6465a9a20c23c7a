/**
 * `npm test`: build, lint, types, format, circles, what is unused, all tests. `npm test -- PATTERN
 * ...` passes its arguments to jest and runs only that. The last line is `tests: N passed, N
 * failed`; the exit status is 0 only when every step passed and a test ran.
 */
import process from 'node:process';

import { runChecks } from './checks.mjs';
import { ensureInstalled } from './ensure-install.mjs';
import { summarize } from './jest-summary.mjs';
import { runJest } from './run-jest.mjs';
import {
  chromium,
  ensureSystemPackages,
  natsServer,
  openBlas,
  prometheus,
} from './system-packages.mjs';

const jestArguments = process.argv.slice(2);
/** @type {import('./checks.mjs').Check} */
const build = ['build', ['tools/setup/build.mjs']];
/** A file that was well-formatted needs no second look until its contents change. */
const prettierCache = [
  '--cache',
  '--cache-strategy=content',
  '--cache-location=node_modules/.cache/prettier/.check-cache',
];
/**
 * They need no build, and take a processor while tests wait: the slowest first, one after another
 * beside the build and the tests.
 * @type {readonly import('./checks.mjs').Check[]}
 */
const checks = [
  ['lint and types', ['--max-semi-space-size=64', 'tools/setup/lint-and-types.mjs']],
  [
    'format',
    [
      ...['node_modules/prettier/bin/prettier.cjs', '--check', '.', '--log-level=warn'],
      ...prettierCache,
    ],
  ],
  [
    'circles',
    [
      'node_modules/dependency-cruiser/bin/dependency-cruise.mjs',
      '--config',
      'tools/setup/circles.mjs',
      'libs',
      'services',
      'tools',
    ],
  ],
  [
    'unused',
    [
      'node_modules/knip/bin/knip.js',
      '--config',
      'tools/setup/knip.mjs',
      '--treat-config-hints-as-errors',
    ],
  ],
];

ensureInstalled();
ensureSystemPackages([openBlas, natsServer, prometheus, chromium]);
const isWhole = jestArguments.length === 0;
const checking = runChecks(isWhole ? [checks] : []);
const failedBuild = await runChecks(isWhole ? [[build]] : []);
const tests = summarize(await runJest(jestArguments));
const failedChecks = [...failedBuild, ...(await checking)];
if (failedChecks.length > 0) console.log(`failed: ${failedChecks.join(', ')}`);
if (tests.skipped > 0) console.log(`skipped: ${tests.skipped} tests`);
console.log(tests.line);
process.exitCode = failedChecks.length === 0 && tests.ok ? 0 : 1;
