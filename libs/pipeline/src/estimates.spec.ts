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
async function toldBefore(
  { steps, batch }: { readonly steps: number; readonly batch: number },
  estimates: boolean,
): Promise<readonly JobEvent[]> {
  const events: JobEvent[] = [];
  const observer = (event: JobEvent): void => {
    if (event.type === 'stage') throw new Error('begun');
    events.push(event);
  };
  const options = workspace.options({
    ...{ out: join(workspace.outputs, 'estimated'), steps, batch, maxLength: 64 },
    ...{ calibrationRows: 2, refineSteps: 1 },
  });
  await expect(tune(options, tuneHost({ observer, estimates }))).rejects.toThrow('begun');
  return events;
}

it('tells before the first stage how long each will take, where that was asked for', async () => {
  const estimate = (await toldBefore({ steps: 260, batch: 4 }, true)).find(
    ({ type }) => type === 'estimate',
  );
  const stages = estimate?.type === 'estimate' ? estimate.stages : [];
  expect(stages.map(({ name }) => name)).toEqual([
    ...['calibrate', 'emulate', 'train', 'correct', 'refine'],
  ]);
  for (const { seconds } of stages) expect(seconds).toBeGreaterThan(0);
});

it.each([
  ['of a job of few steps', { steps: 49, batch: 128 }, true],
  ['of a job of little work', { steps: 130, batch: 4 }, true],
  ['where it was not asked for', { steps: 260, batch: 4 }, false],
])('does not measure the device %s', async (_, job, estimates) => {
  const types = (await toldBefore(job, estimates)).map(({ type }) => type);
  expect(types).toContain('prepared');
  expect(types).not.toContain('estimate');
});
