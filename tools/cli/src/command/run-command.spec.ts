import process from 'node:process';
import { Command } from 'commander';

import { tableOptions } from '../flags/options.js';
import { defineCommand } from './define-command.js';
import { runCommand } from './run-command.js';

const write = process.stderr.write.bind(process.stderr);
let written: string[];

beforeEach(() => {
  written = [];
  process.stderr.write = (text: unknown) => written.push(String(text)) > 0;
});

afterEach(() => {
  process.stderr.write = write;
  process.exitCode = undefined;
});

it.each([
  ['gradientAccumulation', 'option gradientAccumulation (--grad-accum): -1 given'],
  ['frobnicate', 'option frobnicate: -1 given'],
])('says which flag stands for the option %s', async (option, said) => {
  const code = 'PIPELINE_INVALID_OPTION';
  const error = Object.assign(new Error(`option ${option}: -1 given`), { code });
  const failing = defineCommand({
    options: tableOptions('tune'),
    flags: {},
    examples: [],
    run: () => Promise.reject(error),
  });
  await runCommand(failing, new Command(), () => Promise.resolve([]));
  expect(written.join('')).toContain(`error: ${code}: ${said}`);
});
