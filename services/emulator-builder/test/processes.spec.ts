import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CalibratorService, EmulatorBuilderService } from '@emloc/contracts';
import type { LayerResult } from '@emloc/job-storage';
import { resultOf, type StageProcess, type StageProcesses, startStageProcesses, stopHolding, watchResults } from '@emloc/stage-runtime/testing';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const blocks = ['block-0', 'block-1', 'block-2', 'block-3'];

let stages: StageProcesses;
let calibrator: StageProcess;
beforeAll(async () => {
  stages = await startStageProcesses(['calibrator', 'emulator-builder']);
  calibrator = await stages.start('calibrator');
}, 120_000);
afterAll(() => stages.stop());

const callOf = (job: string) => stages.stageCall(job, 1, {
  model: join(root, 'examples/models/tiny-qwen2'), data: join(root, 'examples/data/train.jsonl'), vramBytes: 64 * 2 ** 20, calibrationRows: 16, maxLength: 64, steps: 4, batch: 4,
});
const queueOf = (job: string) => stages.storage.openLayers(job, 'test');

async function calibrate(job: string): Promise<void> {
  await resultOf(stages.channelTo(calibrator.address).client(CalibratorService).calibrate(await callOf(job)));
}

async function build({ address }: StageProcess, job: string) {
  const { emulator } = await resultOf(stages.channelTo(address).client(EmulatorBuilderService).buildEmulator(await callOf(job)));
  return emulator;
}

/** Digests of a job's stored factors, by block. */
async function digestsOf(results: ReadonlyMap<string, readonly LayerResult[]>): Promise<(string | undefined)[]> {
  return Promise.all(blocks.map(async (block) => (await stages.storage.tensorBucket.info(results.get(block)?.[0]?.factors ?? ''))?.digest));
}

// The other waits for the ten seconds of silence after which a layer is given away.
test('a layer whose builder is killed goes to another: one result a layer, and the factors of an undisturbed run', async () => {
  const [a, b] = await Promise.all(['builder-a', 'builder-b'].map((instance) => stages.start('emulator-builder', { instance })));
  if (!a || !b) throw new Error('there are two');
  await calibrate('whole');
  const whole = watchResults(await queueOf('whole'));
  const undisturbed = await build(b, 'whole');

  await calibrate('shared');
  const queue = await queueOf('shared');
  const shared = watchResults(queue);
  const killed = build(a, 'shared').then(() => 'a result', (error: unknown) => (error as { code: string }).code);
  const held = await stopHolding(queue, { owner: 'builder-a', child: a.child });
  a.child.kill('SIGKILL');
  expect(await killed).toBe('UNAVAILABLE');
  expect(await build(b, 'shared')).toEqual(undisturbed);

  expect(await queue.state(held)).toMatchObject({ state: 'done', owner: 'builder-b', attempt: 2 });
  expect([...shared.results].map(([key, results]) => [key, results.length]).sort()).toEqual(blocks.map((block) => [block, 1]));
  const digests = await digestsOf(shared.results);
  expect(digests).toEqual(await digestsOf(whole.results));
  expect(digests).not.toContain(undefined);
  expect((await stages.storage.tensors.list('shared/statistics/'))).toEqual([]);
  await Promise.all([whole.stop(), shared.stop()]);
}, 120_000);
