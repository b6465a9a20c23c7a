import { readFileSync } from 'node:fs';

import { exitCodeMeanings, exitCodes, signalExitCode, stopSignals } from './exit-code.js';

const page = readFileSync(
  new URL('../../../docs/reference/exit-codes.md', import.meta.url),
  'utf8',
);

it('is told by the page of exit codes, and nothing else is', () => {
  const names = Object.keys(exitCodes) as (keyof typeof exitCodes)[];
  const rows = [
    ...names.map((name) => `| ${exitCodes[name]} | ${exitCodeMeanings[name]} |`),
    ...stopSignals.map(
      (signal) => `| ${signalExitCode(signal)} | ${signal} stopped it before the work was done. |`,
    ),
  ];
  expect(page.split('\n').filter((line) => /^\| \d/.test(line))).toEqual(rows);
});
