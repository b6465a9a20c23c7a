import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { jestProgram } from '../run-jest.mjs';
import { workspaceRoot } from '../workspace.mjs';

/** Its tests tell by their names what the suite found. */
const suite = `
import { executionAsyncResource } from 'node:async_hooks';
import { loads } from '../../../loads.mjs';

const before = loads.length;
loads.push(import.meta.url);
test(\`after \${before} that load the same module\`, () => {});
const { GIVEN = 'nothing', LEFT_BEHIND = 'nothing' } = process.env;
test(\`with \${GIVEN} given and \${LEFT_BEHIND} left behind\`, () => {
  process.env.LEFT_BEHIND = 'a variable';
  delete process.env.GIVEN;
});
test('with no storage of another suite in its promises', async () => {
  await null;
  const kept = Object.getOwnPropertySymbols(executionAsyncResource());
  expect(kept.filter(({ description }) => description === 'kResourceStore').length).toBeLessThan(2);
});
test('which fails', () => expect(1).toBe(2));
`;
const names = ['first', 'second'];
const folder = mkdtempSync(join(tmpdir(), 'emloc-suites-'));
/** Sorted names of the tests of the two suites in a folder, and whether each passed. */
let testsIn: (path: string) => string[];

beforeAll(() => {
  const files = ['libs/a/src', 'tools/a/test'].flatMap((path) =>
    names.map((name) => join(folder, path, `${name}.spec.mjs`)),
  );
  for (const file of files) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, suite);
  }
  writeFileSync(join(folder, 'loads.mjs'), 'export const loads = [];');
  const setup = join(workspaceRoot, 'tools/setup');
  const config = {
    rootDir: folder,
    testMatch: ['**/*.spec.mjs'],
    testEnvironment: join(setup, 'test-environment.mjs'),
    runtime: join(setup, 'test-runtime.mjs'),
    transform: {},
    cache: false,
  };
  const outputFile = join(folder, 'result.json');
  const { stderr } = spawnSync(
    process.execPath,
    [
      ...jestProgram,
      `--config=${JSON.stringify(config)}`,
      '--runInBand',
      '--json',
      `--outputFile=${outputFile}`,
    ],
    { cwd: workspaceRoot, encoding: 'utf8', env: { ...process.env, GIVEN: 'a value' } },
  );
  expect(stderr).toContain('4 total');
  const { testResults } = JSON.parse(readFileSync(outputFile, 'utf8')) as {
    testResults: {
      name: string;
      assertionResults: { title: string; status: string }[];
    }[];
  };
  testsIn = (path) =>
    testResults
      .filter(({ name }) => name.includes(path))
      .flatMap(({ assertionResults }) =>
        assertionResults.map(({ title, status }) => `${title}: ${status}`),
      )
      .sort();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const failures = ['which fails: failed', 'which fails: failed'];
const environments = [
  'with a value given and nothing left behind: passed',
  'with no storage of another suite in its promises: passed',
].flatMap((passed) => names.map(() => passed));

test('suites that start no programs load a module once, and leave nothing else to each other', () => {
  expect(testsIn('libs')).toEqual([
    'after 0 that load the same module: passed',
    'after 1 that load the same module: passed',
    ...failures,
    ...environments,
  ]);
});

test('suites that start programs load their own', () => {
  expect(testsIn('tools')).toEqual([
    ...names.map(() => 'after 0 that load the same module: passed'),
    ...failures,
    ...environments,
  ]);
});
