import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CalibratorService,
  CorrectorService,
  EmulatorBuilderService,
  TrainerService,
  type StoredObject,
} from '@emloc/contracts';
import type { CorrectionDone } from '@emloc/job-storage';
import {
  resultOf,
  startStageProcesses,
  stopHolding,
  watchResults,
  type StageProcess,
  type StageProcesses,
} from '@emloc/stage/testing';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const job = 'job';
const keys = ['block-1', 'block-2', 'block-3', 'block-4', 'choice'];

let stages: StageProcesses;
beforeAll(async () => {
  stages = await startStageProcesses(['calibrator', 'emulator-builder', 'trainer', 'corrector']);
});
afterAll(() => stages.stop());

const callOf = (token: number) =>
  stages.stageCall(job, token, {
    model: join(root, 'examples/models/tiny-qwen2'),
    data: stages.rows,
    vramBytes: 64 * 2 ** 20,
    calibrationRows: 16,
    maxLength: 64,
    steps: 4,
    batch: 4,
  });
const queueOf = () => stages.storage.openCorrections(job, 'test');

/** What the stages before leave. @returns the adapter */
async function trainedAdapter(): Promise<StoredObject> {
  const client = async (name: string) => stages.channelTo((await stages.start(name)).address);
  await resultOf((await client('calibrator')).client(CalibratorService).calibrate(await callOf(1)));
  await resultOf(
    (await client('emulator-builder'))
      .client(EmulatorBuilderService)
      .buildEmulator(await callOf(2)),
  );
  const { adapter } = await resultOf(
    (await client('trainer')).client(TrainerService).train(await callOf(3)),
  );
  if (!adapter) throw new Error('training gives an adapter');
  return adapter;
}

async function correct({ address }: StageProcess, token: number, adapter: StoredObject) {
  return resultOf(
    stages
      .channelTo(address)
      .client(CorrectorService)
      .correct({ ...(await callOf(token)), adapter }),
  );
}

/** Forgets what the correctors have done, so that they do it again. */
async function forget(): Promise<void> {
  await (await queueOf()).destroy();
  await stages.storage.stages.write(job, 'correct', 4, { result: null });
}

/** Digests of the blocks' corrections. */
async function digestsOf(
  results: ReadonlyMap<string, readonly CorrectionDone[]>,
): Promise<(string | undefined)[]> {
  const names = keys.flatMap((key) => {
    const done = results.get(key)?.[0];
    return done?.kind === 'block' ? [done.corrections] : [];
  });
  return Promise.all(
    names.map(async (name) => (await stages.storage.tensorBucket.info(name))?.digest),
  );
}

// The other waits for the ten seconds of silence after which a block is given away.
test('a block whose corrector is killed goes to another: one result a block, and the adapter of an undisturbed run', async () => {
  const adapter = await trainedAdapter();
  const [a, b] = await Promise.all(
    ['corrector-a', 'corrector-b'].map((instance) => stages.start('corrector', { instance })),
  );
  if (!a || !b) throw new Error('there are two');
  const whole = watchResults(await queueOf());
  const undisturbed = await correct(b, 4, adapter);
  const digests = await digestsOf(whole.results);
  await whole.stop();

  await forget();
  const queue = await queueOf();
  const shared = watchResults(queue);
  const killed = correct(a, 5, adapter).then(
    () => 'a result',
    (error: unknown) => (error as { code: string }).code,
  );
  const held = await stopHolding(queue, { owner: 'corrector-a', child: a.child });
  a.child.kill('SIGKILL');
  expect(await killed).toBe('UNAVAILABLE');
  const result = await correct(b, 5, adapter);

  expect(await queue.state(held)).toMatchObject({
    state: 'done',
    owner: 'corrector-b',
    attempt: 2,
  });
  expect([...shared.results].map(([key, results]) => [key, results.length]).sort()).toEqual(
    keys.map((key) => [key, 1]),
  );
  expect(await digestsOf(shared.results)).toEqual(digests);
  expect(digests).toEqual(keys.slice(0, -1).map(() => expect.any(String)));
  expect([result.adapter?.sha256, result.correction, result.baseLoss]).toEqual([
    undisturbed.adapter?.sha256,
    undisturbed.correction,
    undisturbed.baseLoss,
  ]);
  await shared.stop();
});
