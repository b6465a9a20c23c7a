import { join } from 'node:path';

import { openWorkspace, tuneHost, type Workspace } from '../test/fixtures.js';
import type { JobEvent } from './job/observer.js';
import { tune } from './tune.js';

let workspace: Workspace;

beforeAll(async () => {
  workspace = await openWorkspace();
});

afterAll(() => workspace.close());

/** What a job tells until its first stage begins. */
async function toldBefore(steps: number, estimates: boolean): Promise<readonly JobEvent[]> {
  const events: JobEvent[] = [];
  const observer = (event: JobEvent): void => {
    if (event.type === 'stage') throw new Error('begun');
    events.push(event);
  };
  const options = workspace.options({
    ...{ out: join(workspace.outputs, 'estimated'), steps, batch: 2, maxLength: 32 },
    ...{ calibrationRows: 2, refineSteps: 1 },
  });
  await expect(tune(options, tuneHost({ observer, estimates }))).rejects.toThrow('begun');
  return events;
}

it('tells before the first stage how long each will take, where that was asked for', async () => {
  const estimate = (await toldBefore(50, true)).find(({ type }) => type === 'estimate');
  const stages = estimate?.type === 'estimate' ? estimate.stages : [];
  expect(stages.map(({ name }) => name)).toEqual([
    ...['calibrate', 'emulate', 'train', 'correct', 'refine'],
  ]);
  for (const { seconds } of stages) expect(seconds).toBeGreaterThan(0);
});

it.each([
  ['of a job of few steps', 49, true],
  ['where it was not asked for', 50, false],
])('does not measure the device %s', async (_, steps, estimates) => {
  const types = (await toldBefore(steps, estimates)).map(({ type }) => type);
  expect(types).toContain('prepared');
  expect(types).not.toContain('estimate');
});
