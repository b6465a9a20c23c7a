import { create } from '@bufbuild/protobuf';
import { CorrectRequestSchema } from '@emloc/contracts';
import { tensorKeys } from '@emloc/job-storage';
import type { TensorRecord } from '@emloc/pipeline';
import { startStageStorage, type FakeEngine, type StageStorage } from '@emloc/stage/testing';
import { until } from '@emloc/time/testing';

import type { BlockToCorrect, CorrectorTask } from '../src/contract.js';
import { correctStage } from '../src/correct.js';

let stage: StageStorage;
beforeAll(async () => {
  stage = await startStageStorage({ layerAckWaitMs: 600 });
});
afterAll(() => stage.stop());

const blocks = [0, 1, 2];
const record = (value: number): TensorRecord => ({
  tensors: [{ name: 't', dtype: 'float32', shape: [1], bytes: new Uint8Array(4).fill(value) }],
  attributes: {},
});
const report = { seconds: 1, peakDeviceBytes: 2, device: 'fake' };

/** Leaves a trained adapter and factors, as the stages before do. */
async function train(job: string) {
  const attempt = stage.attempt(job, 'trainer', () => Promise.resolve());
  const queue = await stage.storage.openLayers(job, 'builder');
  for (const block of blocks) {
    const factors = tensorKeys.factors(job, block, 1);
    await attempt.records.write('factors', factors, record(block));
    await queue.add(`block-${block}`, { block, statistics: '' });
  }
  const stop = new AbortController();
  let done = 0;
  for await (const item of queue.take(stop.signal)) {
    const { block } = item.payload;
    await item.complete({ block, factors: tensorKeys.factors(job, block, 1), reports: [] });
    done += 1;
    if (done === blocks.length) stop.abort();
  }
  const name = tensorKeys.adapter(job, 'train', 1);
  await attempt.records.write('lora', name, record(9));
  return create(CorrectRequestSchema, { adapter: { bucket: 'emloc-tensors', name } });
}

function engine(log: string[]): FakeEngine {
  return async (given, ask) => {
    const task = given as CorrectorTask;
    if (task.kind === 'choose') {
      log.push(
        `choose of ${task.corrections.map(({ tensors }) => tensors[0]?.bytes[0]).join(' ')}`,
      );
      return {
        kind: 'choose',
        report,
        adapter: record(7),
        chosen: '1',
        scores: { none: 2, 1: 1 },
        baseLoss: 3,
      };
    }
    await ask({
      type: 'blocks',
      blocks: blocks.map((block) => ({ block, layer: `model.layers.${block}` })),
    });
    for (let next = await ask({ type: 'next' }); next; next = await ask({ type: 'next' })) {
      const { block, factors } = next as BlockToCorrect;
      expect(factors.tensors[0]?.bytes[0]).toBe(block);
      log.push(`correct ${block}`);
      await ask({ type: 'corrections', block, record: record(10 + block) });
    }
    return { kind: 'correct-blocks', report };
  };
}

test("replicas share the blocks; one of them chooses, and its choice is every replica's", async () => {
  const request = await train('shared');
  const log: string[] = [];
  const results = await Promise.all(
    ['a', 'b', 'c'].map((instance) =>
      correctStage.run(stage.attempt('shared', instance, engine(log)), request),
    ),
  );
  expect([...log].sort()).toEqual(['choose of 10 11 12', 'correct 0', 'correct 1', 'correct 2']);
  for (const { adapter, correction, baseLoss } of results) {
    expect([correction?.chosen, correction?.scores, baseLoss]).toEqual(['1', { none: 2, 1: 1 }, 3]);
    expect(adapter?.name).toBe(results[0]?.adapter?.name);
  }
});

test('a later attempt goes on with the blocks that are corrected', async () => {
  const request = await train('resumed');
  const log: string[] = [];
  const failing: FakeEngine = (task, ask) =>
    engine(log)(task, async (asked) => {
      if ((asked as { type: string; block?: number }).block === 1) throw new Error('engine');
      return ask(asked);
    });
  await expect(correctStage.run(stage.attempt('resumed', 'a', failing), request)).rejects.toThrow(
    'engine',
  );
  const first = log.filter((line) => line.startsWith('correct')).length;
  await correctStage.run(stage.attempt('resumed', 'b', engine(log)), request);
  expect(log.filter((line) => line.startsWith('correct ')).length).toBe(blocks.length + 1);
  expect(first).toBeGreaterThan(0);
  expect(log.at(-1)).toBe('choose of 10 11 12');
});

test.each(['correct-blocks', 'choose'])(
  'a replica that stood still at %s: its result is refused, and what it stored is deleted',
  async (kind) => {
    const job = `paused-${kind}`;
    const request = await train(job);
    let goOn!: () => void;
    const paused = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let isHeld = false;
    const pausing: FakeEngine = async (given, ask) => {
      const task = given as CorrectorTask;
      const hold = async (): Promise<void> => {
        isHeld = true;
        await paused;
      };
      if (task.kind === 'choose' && kind === 'choose') await hold();
      return engine([])(task, async (asked) => {
        if ((asked as { type: string }).type === 'corrections' && kind === 'correct-blocks')
          await hold();
        return ask(asked);
      });
    };
    const attempt = stage.silentAttempt(job, 'a', pausing);
    const deleted: string[] = [];
    const noted: typeof attempt.records = {
      ...attempt.records,
      delete: async (key) => {
        deleted.push(key);
        await attempt.records.delete(key);
      },
    };
    const late = correctStage.run({ ...attempt, records: noted }, request);
    await until(() => isHeld, 'a part is held');
    const result = await correctStage.run(stage.attempt(job, 'b', engine([])), request);
    const stored = await stage.storage.tensors.list(`${job}/`);
    const states = await (await stage.storage.openCorrections(job, 'test')).states();

    goOn();
    expect((await late).adapter?.name).toBe(result.adapter?.name);
    expect(deleted).toEqual([
      expect.stringMatching(
        kind === 'choose' ? `^${job}/adapter/correct/` : `^${job}/corrections/`,
      ),
    ]);
    expect(stored).not.toContain(deleted[0]);
    expect(await stage.storage.tensors.list(`${job}/`)).toEqual(stored);
    expect(await (await stage.storage.openCorrections(job, 'test')).states()).toEqual(states);
  },
);
