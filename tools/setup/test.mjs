/**
 * `npm test`: build, format, lint, circles, what is unused, types, all tests. `npm test -- PATTERN
 * ...` passes its arguments to jest and runs only that. The last line is `tests: N passed, N
 * failed`; the exit status is 0 only when every step passed and a test ran.
 */
import process from 'node:process';

import { runNode } from './command.mjs';
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
/** @type {[name: string, args: string[]][]} */
const checks = [
  ['build', ['tools/setup/build.mjs']],
  ['format', ['node_modules/prettier/bin/prettier.cjs', '--check', '.', '--log-level=warn']],
  ['lint', ['node_modules/eslint/bin/eslint.js', '.', '--max-warnings=0']],
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
  ['typecheck', ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json']],
];

ensureInstalled();
ensureSystemPackages([openBlas, natsServer, prometheus, chromium]);
const failedChecks =
  jestArguments.length > 0
    ? []
    : checks.filter(([name, args]) => !runCheck(name, args)).map(([name]) => name);
const tests = summarize(runJest(jestArguments));
if (failedChecks.length > 0) console.log(`failed: ${failedChecks.join(', ')}`);
if (tests.skipped > 0) console.log(`skipped: ${tests.skipped} tests`);
console.log(tests.line);
process.exitCode = failedChecks.length === 0 && tests.ok ? 0 : 1;

/** @param {string} name @param {string[]} args */
function runCheck(name, args) {
  const startMs = performance.now();
  const passed = runNode(args) === 0;
  console.log(
    `${name}: ${passed ? 'passed' : 'failed'} (${((performance.now() - startMs) / 1000).toFixed(1)} s)`,
  );
  return passed;
}
