import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { listWorkspaces, workspaceRoot } from '../workspace.mjs';

const startsTimer = /[^.]set(Timeout|Interval)\(|timers\/promises/;
/** Between pieces of work an engine lets its thread take in what has arrived. */
const yields = "import { setImmediate } from 'node:timers/promises';";
/** Asks the driver again in the next turn, or a millisecond later. */
const polls = 'libs/device-cuda/src/streams.ts';

function sourcesOf(workspace: string): string[] {
  return readdirSync(join(workspaceRoot, workspace, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/\.spec\.ts$|(^|\/)testing\//.test(file))
    .map((file) => `${workspace}/src/${file}`);
}

function timersIn(file: string): string[] {
  return readFileSync(join(workspaceRoot, file), 'utf8')
    .split('\n')
    .filter((line) => startsTimer.test(line) && line !== yields);
}

test('libraries and services start timers through libs/time alone', () => {
  const found = listWorkspaces()
    .filter((workspace) => /^(libs|services)\//.test(workspace))
    .flatMap(sourcesOf)
    .filter((file) => timersIn(file).length > 0)
    .filter((file) => file !== polls);
  expect(found).toEqual(['libs/time/src/clock.ts']);
});
