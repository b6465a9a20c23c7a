import { Ending, ErrorInfoSchema, Job_State, MergeOptions_Dtype } from '@emloc/contracts';
import { fromStatus, RpcError } from '@emloc/rpc';
import { until } from '@emloc/time/testing';

import {
  describeEvent,
  eventsOf,
  isGapless,
  jobRequest,
  startDeployment,
  type Deployment,
  type RunningCoordinator,
} from './deployment.js';
import { stepEvent, untilEnded, type Script } from './fake-stages.js';

let deployment: Deployment;
let coordinator: RunningCoordinator;
beforeAll(async () => {
  deployment = await startDeployment();
  coordinator = await deployment.start({
    'stage-silence': '1500ms',
    'emulator-builder-address': `${deployment.stages.address},${deployment.stages.address}`,
  });
});
afterAll(() => deployment.close());
afterEach(() => {
  for (const stage of Object.keys(deployment.stages.scripts))
    delete deployment.stages.scripts[stage as 'train'];
  deployment.stages.calls.length = 0;
});

/** Throws these, one a call, before the stage has its result. */
function failing(...errors: RpcError[]): Script {
  const left = [...errors];
  return async function* () {
    yield stepEvent(1);
    const error = left.shift();
    if (error) throw error;
  };
}

const waiting: Script = async function* ({ signal }) {
  yield stepEvent(1);
  await untilEnded(signal);
};

async function run(options: Parameters<typeof jobRequest>[1] = {}) {
  const { name } = await coordinator.jobs.createJob(jobRequest(deployment, options));
  const events = await eventsOf(coordinator.jobs, name);
  expect(isGapless(events)).toBe(true);
  return {
    name,
    told: events.map(describeEvent),
    events,
    job: await coordinator.jobs.getJob({ name }),
  };
}

test('a job goes through its stages, and everything is told in order', async () => {
  const { told, job, name } = await run();
  const artifacts = [
    'adapter_config.json',
    'adapter_model.safetensors',
    'emloc.json',
    'uncorrected~adapter_model.safetensors',
  ].map((file) => `artifact ${file}`);
  expect(told.slice(0, 2)).toEqual(['QUEUED', 'RUNNING']);
  expect(told.slice(2, 6).sort()).toEqual([
    'calibrate finished',
    'calibrate started',
    'emulate finished',
    'emulate started',
  ]);
  expect(told.slice(6)).toEqual([
    'train started',
    'train finished',
    'correct started',
    'correct finished',
    'refine started',
    'refine finished',
    ...artifacts,
    'SUCCEEDED',
  ]);
  expect(
    deployment.stages.calls.filter(({ stage }) => stage === 'emulate').map(({ token }) => token),
  ).toEqual([expect.any(Number), expect.any(Number)]);
  expect(job).toMatchObject({
    state: Job_State.SUCCEEDED,
    retries: 0,
    lastEventSequence: BigInt(told.length),
    options: { weightDecay: 0 },
  });
  await until(
    async () => (await coordinator.storage.stages.read(name.slice(5), 'train')) === undefined,
    'discarding',
  );
});

/** Values of a metric's series by one label, without those that are 0. */
async function seriesOf(name: string, label: string): Promise<Record<string, number>> {
  const lines = (await coordinator.telemetry.expose())
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`));
  const values = lines.map(
    (line) =>
      [
        new RegExp(`${label}="([^"]*)"`).exec(line)?.[1] ?? '',
        Number(line.slice(line.lastIndexOf(' '))),
      ] as const,
  );
  return Object.fromEntries(values.filter(([, value]) => value !== 0));
}

test('every change of state and every end of a job is counted, from 0', async () => {
  const names = [
    ['emloc_job_transitions_total', 'state'],
    ['emloc_job_duration_seconds_count', 'outcome'],
    ['emloc_stage_retries_total', 'stage'],
  ] as const;
  const count = async (): Promise<Record<string, number>> =>
    Object.assign({}, ...(await Promise.all(names.map(([name, label]) => seriesOf(name, label)))));
  expect(await coordinator.telemetry.expose()).toMatch(
    /emloc_job_transitions_total\{.*state="failed".*\} 0/,
  );
  const before = await count();
  await run();
  deployment.stages.scripts.train = failing(new RpcError('UNAVAILABLE', 'away'));
  await run();
  const after = await count();
  const added = Object.fromEntries(
    Object.entries(after)
      .map(([key, value]) => [key, value - (before[key] ?? 0)])
      .filter(([, value]) => value !== 0),
  );
  // Succeeded twice as a state, and twice as an outcome, which has the same name and comes last.
  expect(added).toEqual({ queued: 2, running: 2, succeeded: 2, train: 1 });
  expect(await seriesOf('emloc_job_duration_seconds_count', 'outcome')).toEqual({
    succeeded: after['succeeded'],
  });
});

test('the report is what tune reports', async () => {
  const {
    job: { report },
  } = await run();
  expect(report).toMatchObject({
    budgetBytes: 4096n,
    peakDeviceBytes: 35n,
    validation: {
      base: 4,
      emulator: 3,
      emulatorTuned: 2,
      uncorrected: 1.5,
      corrected: 1,
      refined: 0.5,
    },
    correction: { chosen: '3' },
    train: { steps: 4, finalLoss: 0.125 },
    refinement: { steps: 1, kept: true },
    emulator: { parameters: 5n },
    ending: Ending.SOUND,
  });
  expect(report?.stages.map(({ stage }) => stage)).toEqual([1, 2, 3, 4, 5]);
});

test('ratio 1 is training alone, and no refinement is none', async () => {
  const plain = await run({ ratios: ['1'] });
  expect(plain.told.filter((text) => text.endsWith('started'))).toEqual(['train started']);
  expect(plain.job.report?.validation).toMatchObject({ base: 3, uncorrected: 2 });
  const unrefined = await run({ refineSteps: 0 });
  expect(unrefined.told).not.toContain('refine started');
});

test('a merged checkpoint is an artifact where it was asked for', async () => {
  const request = jobRequest(deployment);
  const { name } = await coordinator.jobs.createJob({
    ...request,
    job: { ...request.job, merge: { dtype: MergeOptions_Dtype.BFLOAT16 } },
  });
  expect((await eventsOf(coordinator.jobs, name)).map(describeEvent).slice(-4)).toEqual([
    'merge started',
    'merge finished',
    'artifact merged~config.json',
    'SUCCEEDED',
  ]);
  const { artifacts } = await coordinator.jobs.listArtifacts({ parent: name });
  expect(artifacts.map(({ path }) => path)).toContain('merged/config.json');
});

test('a stage that fails for a while is started again, with larger tokens', async () => {
  deployment.stages.scripts.train = failing(
    new RpcError('UNAVAILABLE', 'away'),
    new RpcError('INTERNAL', 'defect'),
    new RpcError('ABORTED', 'superseded', { reason: 'STAGE_SUPERSEDED' }),
  );
  const { told, job, events } = await run();
  expect(told.filter((text) => text === 'train retrying')).toHaveLength(3);
  expect(job).toMatchObject({ state: Job_State.SUCCEEDED, retries: 3 });
  const seen = deployment.stages.calls.filter(({ stage }) => stage === 'train');
  expect(seen.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
  expect(seen.map(({ token }) => token)).toEqual(
    [...seen.map(({ token }) => token)].sort((a, b) => a - b),
  );
  expect(new Set(seen.map(({ token }) => token)).size).toBe(4);
  const retry = events
    .map(({ event }) => event)
    .find((event) => event.case === 'stageStateChanged' && event.value.error);
  expect(retry?.value).toMatchObject({ error: { message: 'train: away' } });
});

test('a stage that fails for good ends the job, naming stage, layer and cause', async () => {
  deployment.stages.scripts.emulate = failing(
    new RpcError('FAILED_PRECONDITION', 'the statistic is not finite', {
      reason: 'EMULATOR_NON_FINITE',
      metadata: { layer: 'model.layers.1.q_proj' },
    }),
    new RpcError('UNAVAILABLE', 'x'),
  );
  deployment.stages.scripts.calibrate = waiting;
  const { told, job } = await run();
  expect(told.at(-1)).toBe('FAILED');
  expect(job.error && fromStatus(job.error)).toMatchObject({
    code: 'FAILED_PRECONDITION',
    reason: 'EMULATOR_NON_FINITE',
    message: 'emulate, layer model.layers.1.q_proj: the statistic is not finite',
    metadata: { stage: 'emulate', layer: 'model.layers.1.q_proj' },
  });
  expect(job.error?.details[0]?.typeUrl).toContain(ErrorInfoSchema.typeName);
});

test('a defect that comes again and again ends the job', async () => {
  deployment.stages.scripts.correct = () => {
    throw new RpcError('DATA_LOSS', 'corrupt');
  };
  const { job, told } = await run();
  expect(told.filter((text) => text === 'correct started')).toHaveLength(2);
  expect(job.error?.message).toBe('correct: corrupt');
});

test('a stage that falls silent is called again', async () => {
  let calls = 0;
  deployment.stages.scripts.train = async function* ({ signal }) {
    calls += 1;
    yield stepEvent(1);
    if (calls === 1) await untilEnded(signal);
  };
  const { events } = await run();
  expect(calls).toBe(2);
  const retry = events
    .map(({ event }) => event)
    .find((event) => event.case === 'stageStateChanged' && event.value.error);
  expect(retry?.value).toMatchObject({
    error: { message: 'train: nothing was heard for 1500 ms' },
  });
});

/** How often training was begun again, of all jobs. */
async function trainRetries(): Promise<number> {
  const text = await coordinator.telemetry.expose();
  return Number(
    /^emloc_stage_retries_total\{[^}]*stage="train"[^}]*\} (\d+)$/m.exec(text)?.[1] ?? 0,
  );
}

test('services that are killed and come back fail no job', async () => {
  deployment.stages.scripts.train = waiting;
  const before = await trainRetries();
  const { name } = await coordinator.jobs.createJob(jobRequest(deployment));
  await until(() => deployment.stages.calls.some(({ stage }) => stage === 'train'), 'training');
  await deployment.stages.kill();
  delete deployment.stages.scripts.train;
  await until(async () => (await trainRetries()) > before, 'the loss is noticed');
  await deployment.stages.restart();
  const told = (await eventsOf(coordinator.jobs, name)).map(describeEvent);
  expect(told.filter((text) => text === 'train retrying')).toHaveLength(1);
  expect(told.at(-1)).toBe('SUCCEEDED');
});

test('of fast steps some are left out, the last never', async () => {
  deployment.stages.scripts.train = async function* () {
    for (let step = 1; step <= 500; step += 1) yield stepEvent(step, 500);
  };
  const { events } = await run();
  const steps = events.flatMap(({ event }) => (event.case === 'step' ? [event.value.step] : []));
  expect(steps[0]).toBe(1);
  expect(steps.at(-1)).toBe(500);
  expect(steps.length).toBeLessThan(50);
});

describe('cancelling', () => {
  test('a running job ends the calls of its stages', async () => {
    deployment.stages.scripts.train = waiting;
    const { name } = await coordinator.jobs.createJob(jobRequest(deployment));
    await until(() => deployment.stages.calls.some(({ stage }) => stage === 'train'), 'training');
    expect((await coordinator.jobs.cancelJob({ name })).state).toBe(Job_State.CANCELLING);
    const told = (await eventsOf(coordinator.jobs, name)).map(describeEvent);
    expect(told.slice(-2)).toEqual(['CANCELLING', 'CANCELLED']);
    expect(await coordinator.jobs.cancelJob({ name })).toMatchObject({
      state: Job_State.CANCELLED,
      lastEventSequence: BigInt(told.length),
    });
  });

  test('a queued job never starts', async () => {
    deployment.stages.scripts.train = waiting;
    const first = await coordinator.jobs.createJob(jobRequest(deployment));
    await until(() => deployment.stages.calls.some(({ stage }) => stage === 'train'), 'training');
    const { name } = await coordinator.jobs.createJob(jobRequest(deployment));
    await coordinator.jobs.cancelJob({ name });
    expect((await eventsOf(coordinator.jobs, name)).map(describeEvent)).toEqual([
      'QUEUED',
      'CANCELLING',
      'CANCELLED',
    ]);
    await coordinator.jobs.cancelJob({ name: first.name });
    await eventsOf(coordinator.jobs, first.name);
  });

  test('is too late for a job that has ended', async () => {
    const { name } = await run();
    await expect(coordinator.jobs.cancelJob({ name })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'JOB_HAS_ENDED',
    });
  });
});
