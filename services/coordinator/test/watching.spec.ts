import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Job_State, type JobEvent } from '@emloc/contracts';
import { hashToken, type RpcError } from '@emloc/rpc';
import { until } from '@emloc/time/testing';

import {
  eventsOf,
  isGapless,
  jobRequest,
  startDeployment,
  type Deployment,
  type RunningCoordinator,
} from './deployment.js';
import { stepEvent, untilEnded } from './fake-stages.js';

let deployment: Deployment;
let coordinator: RunningCoordinator;
beforeEach(async () => {
  deployment = await startDeployment();
  coordinator = await deployment.start({ 'max-running': '3' });
});
afterEach(() => deployment.close());

/** Training that tells so many notices, then waits until the gate opens. */
function noisyTraining(notices: number): { open(): void } {
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  deployment.stages.scripts.train = async function* ({ signal }) {
    for (let count = 0; count < notices; count += 1)
      yield { event: { case: 'notice', value: { message: `${count} ${'x'.repeat(500)}` } } };
    await Promise.race([gate, untilEnded(signal)]);
    for (let count = 0; count < notices; count += 1)
      yield { event: { case: 'notice', value: { message: `again ${count}` } } };
  };
  return { open };
}

test('past events come first, then those to come, from wherever a watcher was', async () => {
  const gate = noisyTraining(20);
  const { name } = await coordinator.jobs.createJob(jobRequest(deployment));
  const past = await eventsOf(coordinator.jobs, name, { count: 20 });
  const live = eventsOf(coordinator.jobs, name, { after: 7 });
  gate.open();
  const all = await eventsOf(coordinator.jobs, name);
  expect(isGapless(all)).toBe(true);
  expect(past).toEqual(all.slice(0, 20));
  expect(await live).toEqual(all.slice(7));
  expect(await eventsOf(coordinator.jobs, name, { after: all.length - 1 })).toEqual(all.slice(-1));
  await until(
    async () => (await coordinator.jobs.getJob({ name })).state === Job_State.SUCCEEDED,
    'the end',
  );
  expect(await eventsOf(coordinator.jobs, name, { after: all.length })).toEqual([]);
  await expect(eventsOf(coordinator.jobs, name, { after: all.length + 1 })).rejects.toMatchObject({
    code: 'OUT_OF_RANGE',
  });
});

test('200 watchers each see everything, and one that is slow loses nothing and slows nobody', async () => {
  const gate = noisyTraining(150);
  const { name } = await coordinator.jobs.createJob(jobRequest(deployment));
  const clients = Array.from({ length: 10 }, () => coordinator.as(null));
  let hurry: () => void = () => undefined;
  const others = new Promise<void>((resolve) => {
    hurry = resolve;
  });
  const slow = (async () => {
    const events: JobEvent[] = [];
    for await (const event of coordinator.as(null).watchJob({ name })) {
      events.push(event);
      if (events.length === 3) await others;
    }
    return events;
  })();
  const watchers = Array.from({ length: 200 }, (_, index) =>
    eventsOf(clients[index % clients.length] ?? coordinator.jobs, name),
  );
  await until(() => deployment.stages.calls.some(({ stage }) => stage === 'train'), 'training');
  gate.open();
  const seen = await Promise.all(watchers);
  hurry();
  expect(isGapless(seen[0] ?? [])).toBe(true);
  expect(seen[0]?.length).toBeGreaterThan(300);
  for (const events of seen)
    expect(events.map(({ sequence }) => sequence)).toEqual(
      seen[0]?.map(({ sequence }) => sequence),
    );
  expect(await slow).toEqual(seen[0]);
}, 240_000);

test('a server that closes ends watches with UNAVAILABLE, and another goes on with them', async () => {
  const gate = noisyTraining(5);
  const second = await deployment.start();
  const { name } = await coordinator.jobs.createJob(jobRequest(deployment));
  const seen: JobEvent[] = [];
  const watching = (async () => {
    for await (const event of second.jobs.watchJob({ name })) seen.push(event);
  })().catch((error: RpcError) => error);
  await until(() => seen.length >= 10, 'events');
  await second.stop();
  expect(await watching).toMatchObject({ code: 'UNAVAILABLE', reason: 'SERVER_CLOSING' });
  gate.open();
  expect(
    isGapless([...seen, ...(await eventsOf(coordinator.jobs, name, { after: seen.length }))]),
  ).toBe(true);
});

test("500 queued jobs of one tenant do not delay another's first by more than one", async () => {
  await coordinator.stop();
  const tokens = ['greedy', 'modest'].map((tenant) => ({
    tenant,
    sha256: hashToken(`token-of-${tenant}`),
  }));
  writeFileSync(
    join(deployment.folder, 'tokens.json'),
    tokens.map((token) => JSON.stringify(token)).join('\n'),
  );
  const order: string[] = [];
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  deployment.stages.scripts.train = async function* ({ call }) {
    // A call that is made again, as after a change of the leader, is not another job.
    if (!order.includes(call.job)) order.push(call.job);
    yield stepEvent(1);
    await gate;
  };
  const one = await deployment.start({ 'tokens-file': join(deployment.folder, 'tokens.json') });
  const greedy = one.as('token-of-greedy');
  const first = await greedy.createJob(jobRequest(deployment, { ratios: ['1'] }));
  await until(() => order.length === 1, 'the first job');
  await Promise.all(
    Array.from({ length: 499 }, () => greedy.createJob(jobRequest(deployment, { ratios: ['1'] }))),
  );
  const { name } = await one
    .as('token-of-modest')
    .createJob(jobRequest(deployment, { ratios: ['1'] }));
  open();
  await until(() => order.includes(name), "the other tenant's job");
  expect(order.indexOf(name)).toBe(1);
  expect(order[0]).toBe(first.name);
  const { jobs, nextPageToken } = await greedy.listJobs({
    pageSize: 1000,
    filter: 'state = QUEUED',
  });
  expect(jobs.length).toBeGreaterThan(450);
  expect(nextPageToken).toBe('');
});
