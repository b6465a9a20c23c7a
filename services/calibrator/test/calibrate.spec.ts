import type { CalibrateRequest } from '@emloc/contracts';
import { JobStorageError, tensorKeys } from '@emloc/job-storage';
import type { TensorRecord } from '@emloc/pipeline';
import { startStageStorage, type FakeEngine, type StageStorage } from '@emloc/stage/testing';

import { calibrateStage } from '../src/calibrate.js';

let stage: StageStorage;
beforeAll(async () => {
  stage = await startStageStorage();
});
afterAll(() => stage.stop());

const request: CalibrateRequest = { $typeName: 'emloc.v1.CalibrateRequest' };
const record: TensorRecord = {
  tensors: [{ name: 't', dtype: 'float32', shape: [1], bytes: new Uint8Array(4) }],
  attributes: {},
};

/** Has statistics of two blocks, but for those that it need not have. */
const engine: FakeEngine = async (task, ask) => {
  const { skip } = task as { skip: readonly number[] };
  for (const block of [0, 1].filter((one) => !skip.includes(one)))
    await ask({ type: 'statistics', block, record });
  return { report: { seconds: 1, peakDeviceBytes: 2, device: 'fake' }, layers: 2, tokens: 3 };
};

test('queues each block with its statistics', async () => {
  const result = await calibrateStage.run(stage.attempt('whole', 'a', engine), request);
  expect(result).toMatchObject({ layers: 2, tokens: 3n });
  const states = await (await stage.storage.openLayers('whole', 'test')).states();
  expect([...states]).toEqual([
    ['block-0', { state: 'queued' }],
    ['block-1', { state: 'queued' }],
  ]);
  expect(await stage.storage.tensors.list('whole/')).toEqual(
    [0, 1].map((block) => tensorKeys.statistics('whole', block, 1)),
  );
});

test('a superseded attempt queues nothing, and leaves no statistics', async () => {
  const stale = new JobStorageError('STAGE_STALE_FENCING_TOKEN', 'a newer attempt has begun');
  await expect(
    calibrateStage.run(
      { ...stage.attempt('stale', 'a', engine), write: () => Promise.reject(stale) },
      request,
    ),
  ).rejects.toBe(stale);
  expect((await (await stage.storage.openLayers('stale', 'test')).states()).size).toBe(0);
  expect(await stage.storage.tensors.list('stale/')).toEqual([]);
});
