import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { listWorkspaces, workspaceRoot } from '../workspace.mjs';

const startsTimer = /[^.]set(Timeout|Interval)\(|timers\/promises/;
/** Between pieces of work an engine lets its thread take in what has arrived. */
const yields = /^import \{ setImmediate( as nextTurn)? \} from 'node:timers\/promises';$/;
/** Asks the driver again in the next turn, or a millisecond later. */
const polls = 'libs/device-cuda/src/streams.ts';

/** Waits for so long, whatever happens meanwhile. */
const sleeps = /\b(sleep|pause)\b[^}]*\} from '@emloc\/time'|\.\/sleep\.js/;
/** Lets time pass between the blows that it deals. */
const chaos = 'services/coordinator/test/chaos.spec.ts';

const isOfTests = (file: string): boolean =>
  /\.spec\.ts$|\/(testing|test)\//.test(file) && !file.startsWith('libs/time/');

function filesOf(workspace: string): string[] {
  return readdirSync(join(workspaceRoot, workspace), { recursive: true, encoding: 'utf8' })
    .filter((file) => /^(src|test)\/.*\.ts$/.test(file))
    .map((file) => `${workspace}/${file}`);
}

const filesIn = (folders: RegExp): string[] =>
  listWorkspaces()
    .filter((workspace) => folders.test(workspace))
    .flatMap(filesOf);

function linesOf(file: string): string[] {
  return readFileSync(join(workspaceRoot, file), 'utf8').split('\n');
}

const timersIn = (file: string): string[] =>
  linesOf(file).filter((line) => startsTimer.test(line) && !yields.test(line));

test('libraries and services start timers through libs/time alone', () => {
  const found = filesIn(/^(libs|services)\//)
    .filter((file) => file.includes('/src/') && !isOfTests(file))
    .filter((file) => !file.startsWith('libs/time/src/testing/'))
    .filter((file) => timersIn(file).length > 0)
    .filter((file) => file !== polls);
  expect(found).toEqual(['libs/time/src/clock.ts']);
});

test('tests wait by until or a FakeClock; only what they simulate takes time', () => {
  const tests = filesIn(/^(libs|services|tools)\//).filter(isOfTests);
  expect(tests.length).toBeGreaterThan(300);
  const found = tests.filter(
    (file) => timersIn(file).length > 0 || linesOf(file).some((line) => sleeps.test(line)),
  );
  expect(found).toEqual([chaos, 'tools/setup/test/timers.spec.ts']);
});
