import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectNats, openNumberedLog, openRecordStore } from '@emloc/nats';
import { hashToken } from '@emloc/rpc';
import { until } from '@emloc/time/testing';

import type { LogEntry } from '../src/jobs/ledger.js';
import { jobKey, type JobRecord } from '../src/jobs/record.js';
import { requestDelete } from '../src/jobs/transitions.js';
import { removeJob } from '../src/removal.js';
import {
  eventsOf,
  jobRequest,
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

/** What JetStream has of jobs. */
async function stored({ storage }: RunningCoordinator): Promise<{
  records: number;
  specs: number;
  artifacts: number;
  events: number;
}> {
  const nats = await connectNats({ servers: [deployment.nats.url] });
  try {
    const count = async (bucket: string): Promise<number> =>
      (await (await openRecordStore<unknown>({ nats, bucket })).list()).length;
    const log = await openNumberedLog<LogEntry>({ nats, name: 'jobs' });
    const records = await (await openRecordStore<JobRecord>({ nats, bucket: 'emloc-jobs' })).list();
    const events = await Promise.all(
      [...names].map(async (name) => (await log.read(name.slice('jobs/'.length), 0, 1000)).length),
    );
    return {
      records: records.length,
      specs: await count('emloc-specs'),
      artifacts: (await storage.artifacts.list()).length,
      events: events.reduce((sum, length) => sum + length, 0),
    };
  } finally {
    await nats.close();
  }
}

const nothing = { records: 0, specs: 0, artifacts: 0, events: 0 };
const names = new Set<string>();
beforeEach(() => names.clear());

async function runJob(
  { jobs }: Pick<RunningCoordinator, 'jobs'>,
  request = jobRequest(deployment),
): Promise<string> {
  const { name } = await jobs.createJob(request);
  names.add(name);
  await eventsOf(jobs, name);
  return name;
}

async function untilNothingIsLeft(coordinator: RunningCoordinator): Promise<void> {
  await until(async () => (await stored(coordinator)).records === 0, 'the removal');
  expect(await stored(coordinator)).toEqual(nothing);
}

test('a job that was deleted is not found, nothing is left of it, and its request makes it anew', async () => {
  const coordinator = await deployment.start();
  const { jobs } = coordinator;
  const request = jobRequest(deployment);
  const name = await runJob(coordinator, request);
  expect(await stored(coordinator)).toMatchObject({ records: 1, specs: 1, artifacts: 4 });
  await jobs.deleteJob({ name });
  for (const call of [
    jobs.getJob({ name }),
    jobs.listArtifacts({ parent: name }),
    jobs.deleteJob({ name }),
    eventsOf(jobs, name),
  ]) {
    await expect(call).rejects.toMatchObject({ code: 'NOT_FOUND' });
  }
  await jobs.deleteJob({ name, allowMissing: true });
  expect((await jobs.listJobs({})).jobs).toEqual([]);
  await untilNothingIsLeft(coordinator);
  expect(await runJob(coordinator, request)).toBe(name);
  expect((await eventsOf(jobs, name))[0]?.sequence).toBe(1n);
});

test("a job that is not over, or another tenant's, cannot be deleted", async () => {
  writeFileSync(
    join(deployment.folder, 'tokens.json'),
    JSON.stringify(
      ['one', 'two'].map((tenant) => ({ tenant, sha256: hashToken(`token-of-${tenant}`) })),
    ),
  );
  deployment.stages.scripts.calibrate = async function* ({ signal }) {
    yield stepEvent(1);
    await untilEnded(signal);
  };
  const coordinator = await deployment.start({
    'tokens-file': join(deployment.folder, 'tokens.json'),
  });
  const [jobs, others] = [coordinator.as('token-of-one'), coordinator.as('token-of-two')];
  const { name } = await jobs.createJob(jobRequest(deployment));
  await expect(jobs.deleteJob({ name })).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    reason: 'JOB_NOT_OVER',
  });
  await expect(others.deleteJob({ name })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await others.deleteJob({ name, allowMissing: true });
  await jobs.cancelJob({ name });
  await eventsOf(jobs, name);
  expect((await jobs.getJob({ name })).name).toBe(name);
  await jobs.deleteJob({ name });
});

test('jobs go when they have been over for the retention', async () => {
  const coordinator = await deployment.start({ 'job-retention': '200ms' });
  await runJob(coordinator);
  await untilNothingIsLeft(coordinator);
});

test('data sets go when nobody has asked for them for the retention, not those of jobs', async () => {
  // Kept for ever at first: what is uploaded must be there when a job asks for it.
  const first = await deployment.start();
  const upload = async (value: string): Promise<string> => {
    const data = Buffer.from(`{"prompt": "${value}", "completion": "b"}\n`.repeat(32));
    async function* pieces() {
      yield {
        content: {
          case: 'upload' as const,
          value: {
            displayName: value,
            sizeBytes: BigInt(data.length),
            sha256: createHash('sha256').update(data).digest('hex'),
          },
        },
      };
      yield { content: { case: 'data' as const, value: data } };
    }
    return (await first.jobs.uploadDataset(pieces())).name;
  };
  const [used, unused] = [await upload('used'), await upload('unused')];
  const before = (await first.storage.datasets.list()).find(({ name }) =>
    name.endsWith(sha256Of(unused)),
  );
  await upload('unused');
  expect(
    Date.parse((await first.storage.datasets.info(before?.name ?? ''))?.modified ?? ''),
  ).toBeGreaterThan(Date.parse(before?.modified ?? ''));
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  deployment.stages.scripts.calibrate = async function* ({ signal }) {
    yield stepEvent(1);
    await Promise.race([ended, untilEnded(signal)]);
  };
  const { name } = await first.jobs.createJob(
    jobRequest(deployment, { data: { source: { case: 'dataset', value: used } } }),
  );
  await first.stop();
  const { storage, jobs } = await deployment.start({ 'job-retention': '300ms' });
  const left = async (): Promise<string[]> =>
    (await storage.datasets.list()).map((stored) =>
      stored.name.slice(stored.name.indexOf('/') + 1),
    );
  await until(async () => (await left()).length < 2, 'the removal of one');
  expect(await left()).toEqual([sha256Of(used)]);
  end();
  await eventsOf(jobs, name);
  await until(async () => (await left()).length === 0, 'the removal of the other, after its job');
});

const sha256Of = (dataset: string): string => dataset.slice('datasets/'.length);

test('a removal that was interrupted is taken up by the next leader, wherever it stopped', async () => {
  const first = await deployment.start();
  const name = await runJob(first);
  const id = name.slice('jobs/'.length);
  await first.stop();
  const nats = await connectNats({ servers: [deployment.nats.url] });
  const store = await openRecordStore<JobRecord>({ nats, bucket: 'emloc-jobs' });
  await store.modify(jobKey('local', id), (record) => requestDelete(record, new Date()));
  const log = { delete: () => Promise.reject(new Error('killed')) };
  const storage = {
    discardWork: async () => undefined,
    deleteSpec: async () => undefined,
    artifacts: { ...first.storage.artifacts, delete: async () => true },
  };
  await expect(removeJob({ tenant: 'local', id }, { store, log, storage })).rejects.toThrow(
    'killed',
  );
  await nats.close();
  await untilNothingIsLeft(await deployment.start());
});

test('what a stage stored after its job was over and gone is removed by the next leader', async () => {
  const first = await deployment.start();
  const { storage } = first;
  await storage.stages.claim('gone', 'train', 1);
  await storage.inputs.remember('gone', { name: 'model', hash: 'h' });
  await storage.tensors.write('gone/log/train/1', { tensors: [] });
  expect([...(await storage.jobsWithWork())]).toEqual(['gone']);
  await first.stop();
  const second = await deployment.start();
  await until(async () => (await second.storage.jobsWithWork()).size === 0, 'the sweep');
});
