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
  type TrainStageInputs,
} from '@emloc/pipeline/stages';
import { serveWorker, type WorkerContext } from '@emloc/service-kit';
import {
  fetchFactors,
  preparedMemory,
  requestedTraining,
  runEngineStage,
  type EngineInputs,
} from '@emloc/stage-runtime/engine';

import type { TrainContract, TrainingTask } from './contract.js';

serveWorker<TrainContract>((task, context) =>
  runEngineStage(task, context, {
    divide: async (inputs) => ({
      budgetBytes: inputs.budgetBytes,
      memory: await preparedMemory(inputs),
    }),
    training: requestedTraining((request) => context.request(request), task.checkpointSteps),
    run: async (inputs) => {
      const { environment, job } = inputs;
      if (task.stage === 'train')
        for (const message of jobNotices(job)) environment.observer({ type: 'notice', message });
      const training =
        task.stage === 'train' ? await trainInputs(inputs, context) : refineInputs(inputs, task);
      const {
        result: { adapter, ...numbers },
        before,
        after,
      } = await runTrainStage(environment, job, training);
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
  inputs: EngineInputs,
  context: WorkerContext<TrainContract>,
): Promise<TrainStageInputs> {
  const { environment, job } = inputs;
  await fetchFactors(inputs, async (request) => (await context.request(request)) as TensorRecord);
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

function refineInputs({ job }: EngineInputs, { adapter }: TrainingTask): TrainStageInputs {
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
