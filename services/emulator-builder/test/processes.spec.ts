import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CalibratorService, EmulatorBuilderService, healthV1 } from '@emloc/contracts';
import type { LayerResult } from '@emloc/job-storage';
import {
  resultOf,
  startStageProcesses,
  stopHolding,
  watchResults,
  type StageProcess,
  type StageProcesses,
} from '@emloc/stage/testing';
import { until } from '@emloc/time/testing';

import { writeRandomModel } from './random-model.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
/** Fewer than are answered while the heavy block is factorised, many times fewer. */
const answers = 10;
const blocks = ['block-1', 'block-2', 'block-3', 'block-4'];

let stages: StageProcesses;
let calibrator: StageProcess;
beforeAll(async () => {
  stages = await startStageProcesses(['calibrator', 'emulator-builder']);
  calibrator = await stages.start('calibrator');
});
afterAll(() => stages.stop());

const tinyModel = join(root, 'examples/models/tiny-qwen2');
const callOf = (job: string, model = tinyModel) =>
  stages.stageCall(job, 1, {
    model,
    data: stages.rows,
    vramBytes: 512 * 2 ** 20,
    calibrationRows: 16,
    maxLength: 64,
    steps: 4,
    batch: 4,
  });
const queueOf = (job: string) => stages.storage.openLayers(job, 'test');

async function calibrate(job: string, model?: string): Promise<void> {
  await resultOf(
    stages
      .channelTo(calibrator.address)
      .client(CalibratorService)
      .calibrate(await callOf(job, model)),
  );
}

async function build({ address }: StageProcess, job: string, model?: string) {
  const { emulator } = await resultOf(
    stages
      .channelTo(address)
      .client(EmulatorBuilderService)
      .buildEmulator(await callOf(job, model)),
  );
  return emulator;
}

/** Digests of a job's stored factors, by block. */
async function digestsOf(
  results: ReadonlyMap<string, readonly LayerResult[]>,
): Promise<(string | undefined)[]> {
  return Promise.all(
    blocks.map(
      async (block) =>
        (await stages.storage.tensorBucket.info(results.get(block)?.[0]?.factors ?? ''))?.digest,
    ),
  );
}

// The other waits for the ten seconds of silence after which a layer is given away.
test('a layer whose builder is killed goes to another: one result a layer, and the factors of an undisturbed run', async () => {
  const [a, b] = await Promise.all(
    ['builder-a', 'builder-b'].map((instance) => stages.start('emulator-builder', { instance })),
  );
  if (!a || !b) throw new Error('there are two');
  await calibrate('whole');
  const whole = watchResults(await queueOf('whole'));
  const undisturbed = await build(b, 'whole');

  await calibrate('shared');
  const queue = await queueOf('shared');
  const shared = watchResults(queue);
  const killed = build(a, 'shared').then(
    () => 'a result',
    (error: unknown) => (error as { code: string }).code,
  );
  const held = await stopHolding(queue, { owner: 'builder-a', child: a.child });
  a.child.kill('SIGKILL');
  expect(await killed).toBe('UNAVAILABLE');
  expect(await build(b, 'shared')).toEqual(undisturbed);

  expect(await queue.state(held)).toMatchObject({ state: 'done', owner: 'builder-b', attempt: 2 });
  expect([...shared.results].map(([key, results]) => [key, results.length]).sort()).toEqual(
    blocks.map((block) => [block, 1]),
  );
  const digests = await digestsOf(shared.results);
  expect(digests).toEqual(await digestsOf(whole.results));
  expect(digests).not.toContain(undefined);
  expect(await stages.storage.tensors.list('shared/statistics/')).toEqual([]);
  await Promise.all([whole.stop(), shared.stop()]);
});

test('the service answers whatever the engine does: health checks while a heavy block is factorised', async () => {
  const model = join(stages.folder, 'heavy');
  await writeRandomModel(model, { base: tinyModel, layers: 1, hidden: 640 });
  const builder = await stages.start('emulator-builder', { instance: 'builder-c' });
  await calibrate('heavy', model);
  const health = stages.channelTo(builder.address, null).client(healthV1.Health);
  const queue = await queueOf('heavy');
  const isAtWork = async (): Promise<boolean> => {
    const states = [...(await queue.states()).values()];
    return states.some((state) => state.state === 'running' && state.owner === 'builder-c');
  };
  const building = build(builder, 'heavy', model);
  await until(isAtWork, 'the block is taken');
  // A thread that is blocked would answer once the block is done.
  for (let count = 0; count < answers; count += 1) await health.check({ service: '' });
  expect(await isAtWork()).toBe(true);
  await building;
});
