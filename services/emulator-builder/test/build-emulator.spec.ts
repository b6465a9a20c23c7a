import { create } from '@bufbuild/protobuf';
import { BuildEmulatorRequestSchema } from '@emloc/contracts';
import { tensorKeys } from '@emloc/job-storage';
import type { TensorRecord } from '@emloc/pipeline';
import { startStageStorage, type FakeEngine, type StageStorage } from '@emloc/stage/testing';
import { until } from '@emloc/time/testing';

import { buildEmulatorStage } from '../src/build-emulator.js';
import type { CalibratedBlock } from '../src/contract.js';

let stage: StageStorage;
beforeAll(async () => {
  stage = await startStageStorage({ layerAckWaitMs: 600 });
});
afterAll(() => stage.stop());

const request = create(BuildEmulatorRequestSchema);
const blocks = [0, 1, 2, 3];
const record = (block: number): TensorRecord => ({
  tensors: [{ name: 't', dtype: 'float32', shape: [1], bytes: new Uint8Array(4).fill(block + 1) }],
  attributes: {},
});
const report = (block: number, by: string) => ({
  name: `layer ${block} by ${by}`,
  ratio: 0.5,
  rank: 1,
  relativeError: 0.1,
  solver: 'full',
  usedFallback: false,
});

async function calibrate(job: string): Promise<void> {
  const attempt = stage.attempt(job, 'calibrator', () => Promise.resolve());
  const queue = await stage.storage.openLayers(job, 'calibrator');
  for (const block of blocks) {
    const statistics = tensorKeys.statistics(job, block, 1);
    await attempt.records.write('statistics', statistics, record(block));
    await queue.add(`block-${block}`, { block, statistics });
  }
}

/** @param onBlock called while a block is in the engine's hands */
function engine(
  by: string,
  onBlock: (block: number) => Promise<void> = () => Promise.resolve(),
): FakeEngine {
  return async (_task, ask) => {
    await ask({
      type: 'blocks',
      blocks: blocks.map((block) => ({ block, layer: `model.layers.${block}` })),
    });
    for (let next = await ask({ type: 'next' }); next; next = await ask({ type: 'next' })) {
      const { block, record: statistics } = next as CalibratedBlock;
      expect(statistics.tensors[0]?.bytes).toEqual(new Uint8Array(4).fill(block + 1));
      await onBlock(block);
      await ask({ type: 'factors', block, record: record(block), reports: [report(block, by)] });
    }
    const layers = (await ask({ type: 'reports' })) as ReturnType<typeof report>[];
    return {
      report: { seconds: 1, peakDeviceBytes: 2, device: 'fake' },
      emulator: {
        parameters: 1,
        originalParameters: 2,
        worstLayer: { name: '', relativeError: 0 },
        layers,
      },
    };
  };
}

test('two replicas share the layers: one result a layer, statistics gone, and both answer the same', async () => {
  await calibrate('shared');
  const results = await Promise.all(
    ['a', 'b'].map((by) =>
      buildEmulatorStage.run(stage.attempt('shared', by, engine(by)), request),
    ),
  );
  const names = results.map(({ emulator }) => emulator?.layers?.map(({ name }) => name));
  expect(names[0]).toEqual(names[1]);
  expect(names[0]?.map((name) => name?.split(' by ')[0])).toEqual(
    blocks.map((block) => `layer ${block}`),
  );
  const keys = await stage.storage.tensors.list('shared/');
  expect(keys.map((key) => key.split('/').slice(1, 3).join(' '))).toEqual(
    blocks.map((block) => `factors ${block}`),
  );
});

test('a replica whose engine fails gives its block back for another', async () => {
  await calibrate('failing');
  const failing = buildEmulatorStage.run(
    stage.attempt(
      'failing',
      'a',
      engine('a', () => Promise.reject(new Error('engine'))),
    ),
    request,
  );
  await expect(failing).rejects.toThrow('engine');
  const { emulator } = await buildEmulatorStage.run(
    stage.attempt('failing', 'b', engine('b')),
    request,
  );
  expect(emulator?.layers?.map(({ name }) => name)).toEqual(
    blocks.map((block) => `layer ${block} by b`),
  );
});

test('a replica that stood still while its block went to another: its result is refused, and the factors that it stored are deleted', async () => {
  await calibrate('paused');
  const queue = await stage.storage.openLayers('paused', 'test');
  let goOn!: () => void;
  const paused = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  let held = -1;
  const attempt = stage.silentAttempt(
    'paused',
    'a',
    engine('a', (block) => {
      held = block;
      return paused;
    }),
  );
  const log: string[] = [];
  const noted: typeof attempt.records = {
    ...attempt.records,
    write: async (kind, key, ...rest) => {
      log.push(`write ${key}`);
      await attempt.records.write(kind, key, ...rest);
    },
    delete: async (key) => {
      log.push(`delete ${key}`);
      await attempt.records.delete(key);
    },
  };
  const late = buildEmulatorStage.run({ ...attempt, records: noted }, request);
  await until(() => held >= 0, 'a block is held');
  const stale = (await queue.states()).get(`block-${held}`);

  const { emulator } = await buildEmulatorStage.run(
    stage.attempt('paused', 'b', engine('b')),
    request,
  );
  expect(stale).toMatchObject({ state: 'running', owner: 'a', attempt: 1 });
  const standing = await queue.states();
  expect(standing.get(`block-${held}`)).toMatchObject({ state: 'done', owner: 'b', attempt: 2 });

  goOn();
  expect((await late).emulator).toEqual(emulator);
  const stored = [...standing.values()].map((state) =>
    state.state === 'done' ? state.result.factors : '',
  );
  expect(log).toEqual([
    expect.stringMatching(`^write paused/factors/${held}/`),
    log[0]?.replace('write', 'delete'),
  ]);
  expect(stored).not.toContain(log[0]?.replace('write ', ''));
  expect(await queue.states()).toEqual(standing);
  expect(await stage.storage.tensors.list('paused/')).toEqual(stored.sort());
});

test('a block that is given up is named by its path in the model, in the answer of every replica', async () => {
  await calibrate('given-up');
  const stop = new AbortController();
  for await (const item of (await stage.storage.openLayers('given-up', 'broken')).take(
    stop.signal,
  )) {
    expect(item.key).toBe('block-0');
    await item.fail(new Error('no convergence'), { retryable: false });
    stop.abort();
  }
  for (const by of ['a', 'b']) {
    await expect(
      buildEmulatorStage.run(stage.attempt('given-up', by, engine(by)), request),
    ).rejects.toMatchObject({
      code: 'LAYER_GIVEN_UP',
      layer: 'model.layers.0',
      message: 'block-0 was tried too often: no convergence',
    });
  }
});
