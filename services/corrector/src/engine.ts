import { mergeCheckpoint, readAdapter } from '@emloc/checkpoint';
import { pathOfBlock } from '@emloc/models';
import { adapterFromRecord, adapterToRecord } from '@emloc/pipeline';
import {
  chooseCorrection,
  correctBlocks,
  correctedBlocks,
  correctionMemory,
  correctionsFromRecord,
  correctionsToRecord,
  emulatorSource,
  factorsFromRecord,
} from '@emloc/pipeline/stages';
import { serveWorker, type WorkerContext } from '@emloc/service/worker';
import { inLayer, namedBlocks, preparedMemory, runEngineStage } from '@emloc/stage/engine';

import type { CorrectorContract, CorrectorOutcome, CorrectorTask } from './contract.js';

type Task<K extends CorrectorTask['kind']> = CorrectorContract['task'] &
  Extract<CorrectorTask, { kind: K }>;
type Context = WorkerContext<CorrectorContract>;

serveWorker<CorrectorContract>((task, context): Promise<CorrectorOutcome> => {
  switch (task.kind) {
    case 'correct-blocks':
      return correct(task as Task<'correct-blocks'>, context);
    case 'choose':
      return choose(task as Task<'choose'>, context);
    case 'merge':
      return merge(task as Task<'merge'>, context);
  }
});

function correct(task: Task<'correct-blocks'>, context: Context): Promise<CorrectorOutcome> {
  const adapter = adapterFromRecord(task.adapter);
  return runEngineStage(task, context, {
    divide: correctionMemory,
    run: async (run) => {
      const { job } = run;
      const {
        factors: store,
        device: { profile },
        clock,
      } = run.environment;
      const emulator = emulatorSource(job, job.emulated, { store, profile });
      await context.request({
        type: 'blocks',
        blocks: namedBlocks(job.model.layout, correctedBlocks(job, adapter)),
      });
      for (
        let next = await context.request({ type: 'next' });
        next;
        next = await context.request({ type: 'next' })
      ) {
        const { block, factors: record } = next;
        clock.enter('correct');
        const layer = pathOfBlock(job.model.layout, block);
        const { factors, reports } = factorsFromRecord(record, { emulated: job.emulated, profile });
        await store.put(block, factors, reports);
        const corrections = await inLayer(layer, () =>
          correctBlocks(run, { adapter, emulator, blocks: [block] }),
        );
        clock.leave();
        await inLayer(layer, () =>
          context.request({
            type: 'corrections',
            block,
            record: correctionsToRecord(corrections, adapter),
          }),
        );
      }
      return { kind: 'correct-blocks' as const };
    },
  });
}

function choose(task: Task<'choose'>, context: Context): Promise<CorrectorOutcome> {
  const adapter = adapterFromRecord(task.adapter);
  return runEngineStage(task, context, {
    divide: async (inputs) => ({
      budgetBytes: inputs.budgetBytes,
      memory: await preparedMemory(inputs),
    }),
    uses: ['validation'],
    run: async (run) => {
      const { clock } = run.environment;
      clock.enter('correct');
      const corrections = new Map(
        task.corrections.flatMap((record) => [...correctionsFromRecord(record, adapter)]),
      );
      const result = await chooseCorrection(run, { adapter, corrections });
      clock.finish('correct');
      return {
        kind: 'choose' as const,
        adapter: adapterToRecord(result.adapter),
        chosen: result.chosen,
        scores: result.scores,
        baseLoss: result.base.loss,
      };
    },
  });
}

/** Needs no device: shard by shard through host memory. */
async function merge(
  { options, adapter, out, dtype }: Task<'merge'>,
  { emit, signal }: Context,
): Promise<CorrectorOutcome> {
  const started = performance.now();
  const { notices } = await mergeCheckpoint({
    model: options.model,
    out,
    dtype,
    signal,
    adapter: await readAdapter(adapter, { base: options.model, signal }),
    onProgress: ({ phase, doneBytes, totalBytes }) =>
      emit({ type: 'progress', stage: 'merge', task: phase, done: doneBytes, total: totalBytes }),
  });
  for (const message of notices) emit({ type: 'notice', message });
  return {
    kind: 'merge',
    report: { seconds: (performance.now() - started) / 1000, peakDeviceBytes: 0, device: '' },
  };
}
