import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  compileOptions,
  describeOptions,
  printableOptions,
  secretValues,
} from './compile-options.js';
import {
  booleanOption,
  bytesOption,
  choiceOption,
  durationOption,
  integerOption,
  listOption,
  stringOption,
} from './option-types.js';

const set = {
  host: stringOption({ description: 'where to listen', default: '127.0.0.1' }),
  maxJobs: integerOption({ description: 'jobs at once', default: 2, min: 1, max: 64 }),
  vram: bytesOption({ description: 'device budget', default: 2 ** 31 }),
  grace: durationOption({ description: 'time to stop', default: 30_000 }),
  device: choiceOption({ description: 'device', choices: ['cpu', 'cuda'], default: 'cpu' }),
  verbose: booleanOption({ description: 'more lines', default: false }),
  roots: listOption({ description: 'model folders' }),
  natsToken: stringOption<string | undefined>({
    description: 'token',
    secret: true,
    default: undefined,
  }),
};
const compile = (args: string[], env: Record<string, string> = {}) =>
  compileOptions(set, { args: ['--roots', '/m', ...args], env, envPrefix: 'EMLOC' });

test('flags win over the environment, the environment over defaults', () => {
  const options = compile(['--max-jobs=3', '--verbose', '--vram', '1.5GiB'], {
    EMLOC_MAX_JOBS: '5',
    EMLOC_GRACE: '250ms',
    EMLOC_DEVICE: 'cuda',
  });
  expect(options).toEqual({
    host: '127.0.0.1',
    maxJobs: 3,
    vram: 1.5 * 2 ** 30,
    grace: 250,
    device: 'cuda',
    verbose: true,
    roots: ['/m'],
    natsToken: undefined,
  });
  expect(Object.isFrozen(options)).toBe(true);
  expect(compile(['--no-verbose'], { EMLOC_VERBOSE: '1' }).verbose).toBe(false);
});

test('says everything that is wrong at once', () => {
  expect(() =>
    compileOptions(set, {
      args: ['--max-jobs', '0', '--colour', '--device=gpu', '--grace', 'soon'],
      env: {},
      envPrefix: 'EMLOC',
    }),
  ).toThrow(
    /unknown flag --colour; --max-jobs must be a whole number from 1 to 64, not '0'; --grace must be a duration.*; --device must be one of cpu, cuda, not 'gpu'; --roots or EMLOC_ROOTS is required/,
  );
});

test('keeps secrets out of flags, errors and prints', () => {
  expect(() => compile(['--nats-token', 'hunter22'])).toThrow(
    expect.objectContaining({
      code: 'OPTION_INVALID',
      message: expect.not.stringContaining('hunter22'),
    }),
  );
  const options = compile([], { EMLOC_NATS_TOKEN: 'hunter22' });
  expect(JSON.stringify(printableOptions(set, options))).not.toContain('hunter22');
  expect(secretValues(set, options)).toEqual(['hunter22']);
});

test('reads a secret from a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'emloc-options-'));
  writeFileSync(join(folder, 'token'), 'from-file\n');
  expect(compile([], { EMLOC_NATS_TOKEN_FILE: join(folder, 'token') }).natsToken).toBe('from-file');
  expect(() => compile([], { EMLOC_NATS_TOKEN_FILE: join(folder, 'none') })).toThrow(
    /EMLOC_NATS_TOKEN_FILE: ENOENT/,
  );
  rmSync(folder, { recursive: true });
});

test('describes every option with its default', () => {
  expect(describeOptions(set, 'EMLOC')).toMatch(
    /--max-jobs N +EMLOC_MAX_JOBS +jobs at once \(default 2\)/,
  );
});
