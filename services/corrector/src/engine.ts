import { mergeCheckpoint, readPeftAdapter } from '@emloc/checkpoint';
import { adapterFromRecord, adapterToRecord, correct, emulatorSource, requireMemory, type TensorRecord } from '@emloc/pipeline';
import { serveWorker, type WorkerContext } from '@emloc/service-kit';
import { fetchFactors, runEngineStage } from '@emloc/stage-runtime/engine';
import type { CorrectOutcome, CorrectorContract, CorrectorTask, MergeOutcome } from './contract.js';

type Task<K extends CorrectorTask['kind']> = CorrectorContract['task'] & Extract<CorrectorTask, { kind: K }>;

serveWorker<CorrectorContract>((task, context) => (task.kind === 'correct' ? correctAdapter(task as Task<'correct'>, context) : merge(task as Task<'merge'>, context)));

function correctAdapter(task: Task<'correct'>, context: WorkerContext<CorrectorContract>): Promise<CorrectOutcome> {
  return runEngineStage(task, context, {
    divide: async (inputs) => ({ budgetBytes: inputs.budgetBytes, memory: await requireMemory(inputs) }),
    run: async (inputs) => {
      const { environment, job } = inputs;
      await fetchFactors(inputs, async (request) => (await context.request(request)) as TensorRecord);
      const emulator = emulatorSource(job.model, job.emulated, { store: environment.factors, profile: environment.device.profile });
      const { adapter, chosen, scores, base } = await correct(environment, job, { adapter: adapterFromRecord(task.adapter), emulator });
      return { kind: 'correct' as const, adapter: adapterToRecord(adapter), chosen, scores, baseLoss: base.loss };
    },
  });
}

/** Needs no device: shard by shard through host memory. */
async function merge({ options, adapter, out, dtype }: Task<'merge'>, { emit, signal }: WorkerContext<CorrectorContract>): Promise<MergeOutcome> {
  const started = performance.now();
  await mergeCheckpoint({
    model: options.model, out, dtype, signal, adapter: await readPeftAdapter(adapter),
    onProgress: ({ phase, doneBytes, totalBytes }) => emit({ type: 'progress', stage: 'merge', task: phase, done: doneBytes, total: totalBytes }),
  });
  return { kind: 'merge', report: { seconds: (performance.now() - started) / 1000, peakDeviceBytes: 0, device: '' } };
}
