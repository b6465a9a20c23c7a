import { sleep } from '@emloc/time';
import { takes } from '@emloc/time/testing';

import {
  describeEvent,
  eventsOf,
  isGapless,
  jobRequest,
  shortLease,
  startDeployment,
  type Deployment,
  type RunningCoordinator,
} from './deployment.js';
import { stepEvent } from './fake-stages.js';

let deployment: Deployment;
beforeEach(async () => {
  deployment = await startDeployment();
});
afterEach(() => deployment.close());

const rounds = Number(process.env['ROUNDS'] ?? 1);
test.each(Array.from({ length: rounds }, (_, round) => round))('round %i', async (round) => {
  const random = (below: number): number =>
    Math.floor(Math.abs(Math.sin((round + 1) * 999 + (state += 1))) * 1e6) % below;
  let state = 0;
  for (const stage of ['calibrate', 'emulate', 'train', 'correct', 'refine'] as const) {
    deployment.stages.scripts[stage] = async function* ({ signal }) {
      for (let step = 1; step <= 5; step += 1) {
        if (signal.aborted) return;
        yield stepEvent(step, 5);
        await takes(40);
      }
    };
  }
  let one: RunningCoordinator = await deployment.start(shortLease);
  let two: RunningCoordinator = await deployment.start({ ...shortLease, 'max-running': '2' });
  const names: string[] = [];
  for (let count = 0; count < 4; count += 1)
    names.push((await two.jobs.createJob(jobRequest(deployment))).name);
  for (let blow = 0; blow < 4; blow += 1) {
    await sleep(random(700));
    switch (random(4)) {
      case 0:
        await one.kill();
        one = await deployment.start(shortLease);
        break;
      case 1:
        await two.kill();
        two = await deployment.start({ ...shortLease, 'max-running': '2' });
        break;
      case 2:
        await deployment.nats.kill();
        await sleep(random(3000));
        await deployment.nats.restart();
        break;
      default:
        await deployment.stages.kill();
        await sleep(random(500));
        await deployment.stages.restart();
        break;
    }
  }
  for (const name of names) {
    const events = await eventsOf(two.jobs, name);
    const told = events.map(describeEvent);
    expect([isGapless(events), told.at(-1)]).toEqual([true, 'SUCCEEDED']);
    for (const stage of ['calibrate', 'emulate', 'train', 'correct', 'refine'])
      expect(told.filter((text) => text === `${stage} finished`)).toHaveLength(1);
    expect(told.filter((text) => text === 'RUNNING')).toHaveLength(1);
    expect(new Set(told.filter((text) => text.startsWith('artifact'))).size).toBe(4);
    expect(told.filter((text) => text.startsWith('artifact')).length).toBe(4);
    const calls = deployment.stages.calls
      .filter(({ job }) => job === name)
      .map(({ token }) => token);
    expect(calls).toEqual([...calls].sort((a, b) => a - b));
  }
});
