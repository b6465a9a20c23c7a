import { connectNats } from '@emloc/nats';
import { takes, until } from '@emloc/time/testing';

import { openLeases } from '../src/leadership.js';
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
import { stepEvent, untilEnded } from './fake-stages.js';

let deployment: Deployment;
beforeEach(async () => {
  deployment = await startDeployment();
});
afterEach(() => deployment.close());

/** Training that waits in its first call and goes through in the next. */
function holdFirstTraining(): void {
  let calls = 0;
  deployment.stages.scripts.train = async function* ({ signal }) {
    calls += 1;
    yield stepEvent(calls);
    if (calls === 1) await untilEnded(signal);
  };
}

const trainingStarted = (): boolean =>
  deployment.stages.calls.some(({ stage }) => stage === 'train');

test('when the leader is killed another goes on from the finished stages, and no event is lost or doubled', async () => {
  holdFirstTraining();
  const first = await deployment.start(shortLease);
  const second = await deployment.start(shortLease);
  const { name } = await second.jobs.createJob(jobRequest(deployment));
  await until(trainingStarted, 'training');
  const watched = eventsOf(second.jobs, name);
  await first.kill();
  const events = await watched;
  expect(isGapless(events)).toBe(true);
  const told = events.map(describeEvent);
  expect(told.filter((text) => text === 'calibrate started')).toHaveLength(1);
  expect(told.filter((text) => text.startsWith('train '))).toEqual([
    'train started',
    'train retrying',
    'train started',
    'train finished',
  ]);
  expect((await second.jobs.getJob({ name })).retries).toBe(1);
  expect(told.at(-1)).toBe('SUCCEEDED');
  expect(new Set(told.filter((text) => text.startsWith('artifact'))).size).toBe(
    told.filter((text) => text.startsWith('artifact')).length,
  );
  const [before, after] = deployment.stages.calls.filter(({ stage }) => stage === 'train');
  expect(after?.token).toBeGreaterThan(before?.token ?? Number.POSITIVE_INFINITY);
});

const isLeading = async ({ telemetry }: RunningCoordinator): Promise<boolean> =>
  /^emloc_coordinator_leading\{[^}]*\} 1$/m.test(await telemetry.expose());

/** Who has the lease; one who was killed, too, until it runs out. */
async function leaseOwner(): Promise<string | undefined> {
  const nats = await connectNats({ servers: [deployment.nats.url] });
  try {
    const leases = await openLeases(nats, { ttlMs: 12_000, replicas: undefined });
    return (await leases.get('coordinator'))?.value.owner;
  } finally {
    await nats.close();
  }
}

test('a leader that stops hands over at once, and its metrics say who leads', async () => {
  holdFirstTraining();
  // Who waits looks every quarter of it.
  const first = await deployment.start({ 'lease-ttl': '12s' });
  const second = await deployment.start({ 'lease-ttl': '12s' });
  const { name } = await second.jobs.createJob(jobRequest(deployment));
  await until(trainingStarted, 'training');
  expect([await isLeading(first), await isLeading(second)]).toEqual([true, false]);
  await first.stop();
  expect(await leaseOwner()).not.toBe('coordinator-1');
  expect((await eventsOf(second.jobs, name)).map(describeEvent).at(-1)).toBe('SUCCEEDED');
  expect(await isLeading(second)).toBe(true);
});

test('a job that is cancelled at another coordinator than the leader is cancelled', async () => {
  holdFirstTraining();
  await deployment.start();
  const second = await deployment.start();
  const { name } = await second.jobs.createJob(jobRequest(deployment));
  await until(trainingStarted, 'training');
  await second.jobs.cancelJob({ name });
  expect((await eventsOf(second.jobs, name)).map(describeEvent).slice(-2)).toEqual([
    'CANCELLING',
    'CANCELLED',
  ]);
});

test('a restart of the NATS server in mid-job costs no job and no event', async () => {
  holdFirstTraining();
  const coordinator = await deployment.start(shortLease);
  const { name } = await coordinator.jobs.createJob(jobRequest(deployment));
  await until(trainingStarted, 'training');
  const watched = eventsOf(coordinator.jobs, name);
  await deployment.nats.kill();
  await takes(2500);
  await deployment.nats.restart();
  const events = await watched;
  expect(isGapless(events)).toBe(true);
  expect(events.map(describeEvent).at(-1)).toBe('SUCCEEDED');
  const { name: next } = await coordinator.jobs.createJob(jobRequest(deployment));
  expect((await eventsOf(coordinator.jobs, next)).map(describeEvent).at(-1)).toBe('SUCCEEDED');
});

test('what a leader has recorded but not told is told by the next, once', async () => {
  const first = await deployment.start();
  const { name } = await first.jobs.createJob(jobRequest(deployment));
  const events = await eventsOf(first.jobs, name);
  await first.stop();
  const second = await deployment.start();
  const { name: next } = await second.jobs.createJob(jobRequest(deployment));
  await eventsOf(second.jobs, next);
  expect(await eventsOf(second.jobs, name)).toEqual(events);
});
