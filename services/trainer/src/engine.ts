import {
  adapterFromRecord,
  adapterToRecord,
  PipelineError,
  type TensorRecord,
} from '@emloc/pipeline';
import {
  emulatorSource,
  jobNotices,
  runTrainStage,
  startingAdapter,
  type JobRun,
  type TrainStageInputs,
} from '@emloc/pipeline/stages';
import { serveWorker, type WorkerContext } from '@emloc/service-kit';
import {
  fetchFactors,
  preparedMemory,
  requestedTraining,
  runEngineStage,
} from '@emloc/stage-runtime/engine';

import type { TrainContract, TrainingTask } from './contract.js';

serveWorker<TrainContract>((task, context) =>
  runEngineStage(task, context, {
    divide: async (inputs) => ({
      budgetBytes: inputs.budgetBytes,
      memory: await preparedMemory(inputs),
    }),
    uses: [task.stage === 'train' ? 'training' : 'refinement', 'validation'],
    training: requestedTraining((request) => context.request(request), task.checkpointSteps),
    run: async (run) => {
      const { job, environment } = run;
      if (task.stage === 'train')
        for (const message of jobNotices(job)) environment.observer({ type: 'notice', message });
      const training =
        task.stage === 'train' ? await trainInputs(run, context) : refineInputs(run, task);
      const { adapter, before, after, ...numbers } = await runTrainStage(run, training);
      return {
        ...numbers,
        adapter: adapterToRecord(adapter),
        lossBefore: before?.loss ?? null,
        lossAfter: after.loss,
      };
    },
  }),
);

async function trainInputs(
  run: JobRun,
  context: WorkerContext<TrainContract>,
): Promise<TrainStageInputs> {
  const { job, environment } = run;
  await fetchFactors(run, async (request) => (await context.request(request)) as TensorRecord);
  const { profile } = environment.device;
  const source =
    job.emulated.length === 0
      ? job.model.source
      : emulatorSource(job.model, job.emulated, { store: environment.factors, profile });
  return {
    stage: 'train',
    source,
    adapter: startingAdapter(job),
    plan: job.training,
    evaluateBefore: true,
  };
}

function refineInputs({ job }: JobRun, { adapter }: TrainingTask): TrainStageInputs {
  if (!job.refinement || !adapter)
    throw new PipelineError(
      'PIPELINE_INVALID_OPTION',
      'the job has no refinement, or no adapter to refine',
    );
  return {
    stage: 'refine',
    source: job.model.source,
    adapter: adapterFromRecord(adapter),
    plan: job.refinement,
    evaluateBefore: false,
  };
}
