/**
 * `npm test`: build, format, lint, circles, what is unused, types, all tests. `npm test -- PATTERN
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
/** Side by side: linting takes as long as the others together. */
/** @type {readonly (readonly import('./checks.mjs').Check[])[]} */
const lanes = [
  [['lint', ['node_modules/eslint/bin/eslint.js', '.', '--max-warnings=0']]],
  [
    [
      'format',
      [
        ...['node_modules/prettier/bin/prettier.cjs', '--check', '.', '--log-level=warn'],
        ...prettierCache,
      ],
    ],
    ['typecheck', ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json']],
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
  ],
];

ensureInstalled();
ensureSystemPackages([openBlas, natsServer, prometheus, chromium]);
const failedChecks =
  jestArguments.length > 0 ? [] : [...(await runChecks([[build]])), ...(await runChecks(lanes))];
const tests = summarize(runJest(jestArguments));
if (failedChecks.length > 0) console.log(`failed: ${failedChecks.join(', ')}`);
if (tests.skipped > 0) console.log(`skipped: ${tests.skipped} tests`);
console.log(tests.line);
process.exitCode = failedChecks.length === 0 && tests.ok ? 0 : 1;
