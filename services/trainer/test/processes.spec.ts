import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writePeftAdapter } from '@emloc/checkpoint';
import { healthV1, TrainerService } from '@emloc/contracts';
import { livenessService } from '@emloc/rpc';
import {
  resultOf,
  startStageProcesses,
  type StageProcess,
  type StageProcesses,
} from '@emloc/stage/testing';
import { until } from '@emloc/time/testing';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const names = ['calibrator', 'emulator-builder', 'trainer', 'corrector'] as const;
const steps = 20;

let stages: StageProcesses;
/** The one that is called, until it is told to stop. */
let first: StageProcess;
beforeAll(async () => {
  stages = await startStageProcesses(names);
  await writeStart(join(stages.folder, 'start'));
  first = await stages.start('trainer');
});
afterAll(() => stages.stop());

/** DoRA on one linear, in whose B there is something already. */
async function writeStart(folder: string): Promise<void> {
  const [rank, width] = [2, 128];
  const valuesOf = (count: number, scale: number) =>
    Float32Array.from({ length: count }, (_, index) => scale * Math.sin(index + 1));
  const layer = {
    a: valuesOf(rank * width, 0.1),
    b: valuesOf(width * rank, 0.1),
    magnitude: valuesOf(width, 0.2).map((value) => 1 + value),
    ...{ inFeatures: width, outFeatures: width },
  };
  const layers = new Map([['model.layers.0.self_attn.q_proj', layer]]);
  const numbers = { rank, alpha: 4, useRslora: false, targetModules: ['q_proj'] };
  await writePeftAdapter(folder, { ...numbers, layers });
}

/**
 * Training on the original, held in codes, from an adapter of DoRA: a stage that needs nothing of
 * another one.
 */
function trainRequest(job: string, token: number) {
  const options = {
    model: join(root, 'examples/models/tiny-qwen2'),
    data: stages.rows,
    vramBytes: 16 * 2 ** 20,
    method: 'paged' as const,
    initAdapter: join(stages.folder, 'start'),
    storage: 'nf4' as const,
    steps,
    evalSteps: 4,
    batch: 4,
    maxLength: 96,
  };
  return stages.stageCall(job, token, options);
}

interface Training {
  readonly resumedFrom: number;
  readonly reported: number[];
  readonly sha256: string;
}

/** Trains to the end, or to the error of the call. */
async function train(
  address: string,
  request: Awaited<ReturnType<typeof trainRequest>>,
  onStep: (step: number) => void = () => undefined,
): Promise<Training> {
  let resumedFrom = 0;
  const reported: number[] = [];
  const { adapter } = await resultOf(
    stages.channelTo(address).client(TrainerService).train(request),
    (event) => {
      if (event.case === 'accepted') resumedFrom = Number(event.value.resumedFrom);
      if (event.case !== 'step') return;
      reported.push(event.value.step);
      onStep(event.value.step);
    },
  );
  return { resumedFrom, reported, sha256: adapter?.sha256 ?? '' };
}

test.each(names)('%s listens, answers probes and health, and ends in order', async (name) => {
  const { child, ended, address, http } = await stages.start(name, {
    instance: `${name}-probed`,
  });
  const health = stages.channelTo(address, null).client(healthV1.Health);
  for (const path of ['livez', 'readyz', 'healthz', 'metrics'])
    expect([path, (await fetch(`${http}/${path}`)).status]).toEqual([path, 200]);
  for (const service of ['', livenessService])
    expect(await health.check({ service })).toMatchObject({
      status: healthV1.HealthCheckResponse_ServingStatus.SERVING,
    });
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});

test('refuses to listen where others can reach it without authentication', async () => {
  const { ended, output } = stages.spawn('trainer', { args: ['--host', '0.0.0.0'], env: {} });
  expect([await ended, output()]).toEqual([2, expect.stringContaining('authentication')]);
});

test('a stage is called with its token only', async () => {
  const request = await trainRequest('refused', 1);
  for (const token of [null, 'another-token']) {
    await expect(
      resultOf(stages.channelTo(first.address, token).client(TrainerService).train(request)),
    ).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  }
  expect(await stages.storage.stages.read('refused', 'train')).toBeUndefined();
});

test('a trainer that is told to stop saves its state; the next one goes on from there and makes the same adapter', async () => {
  let [step, answers] = [0, 0];
  const whole = train(first.address, await trainRequest('whole', 1), (done) => (step = done));
  await until(() => step > 0, 'training');
  for (; step < steps; answers += 1) await fetch(`${first.http}/livez`);
  const undisturbed = await whole;
  expect(undisturbed.reported).toEqual(Array.from({ length: steps }, (_, index) => index + 1));
  // The main thread answers while the engine is at full load, and not between steps alone.
  expect(answers).toBeGreaterThan(steps);

  const stopped = train(first.address, await trainRequest('stopped', 1), (step) => {
    if (step === 3) first.child.kill('SIGTERM');
  });
  await expect(stopped).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(await first.ended).toBe(0);
  const { checkpoint = null } = (await stages.storage.stages.read('stopped', 'train')) ?? {};
  const savedStep = Number(/-(\d+)$/.exec(checkpoint ?? '')?.[1]);
  expect(savedStep).toBeGreaterThanOrEqual(3);

  const second = await stages.start('trainer');
  const resumed = await train(second.address, await trainRequest('stopped', 2));
  expect(resumed).toMatchObject({ resumedFrom: savedStep, sha256: undisturbed.sha256 });
  expect(resumed.reported[0]).toBe(savedStep + 1);
  second.child.kill('SIGTERM');
  expect(await second.ended).toBe(0);
});
