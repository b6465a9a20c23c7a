import type { LoraAdapter } from '@emloc/checkpoint';
import {
  adapterFromRecord,
  adapterToRecord,
  PipelineError,
  type TensorRecord,
} from '@emloc/pipeline';
import {
  jobNotices,
  lastLevelStart,
  runTrainStage,
  secondMomentsIn,
  trainedLevels,
  trainedOriginal,
  trainingStart,
  withSecondMoments,
  type JobRun,
  type LastLevelStart,
  type TrainStageInputs,
} from '@emloc/pipeline/stages';
import { serveWorker, type WorkerContext } from '@emloc/service/worker';
import {
  fetchFactors,
  preparedMemory,
  requestedTraining,
  runEngineStage,
} from '@emloc/stage/engine';

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
      const { adapter, before, after, secondMoments, ...numbers } = await runTrainStage(
        run,
        training,
      );
      const { steps } = numbers;
      return {
        ...numbers,
        adapter: withSecondMoments(adapterToRecord(adapter), adapter, { steps, secondMoments }),
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
  return {
    stage: 'train',
    levels: trainedLevels(job, { store: environment.factors, profile }),
    adapter: await trainingStart(job, environment),
    plan: job.training,
    evaluateBefore: true,
  };
}

function refineInputs({ job }: JobRun, { adapter, trained }: TrainingTask): TrainStageInputs {
  if (!job.refinement || !adapter)
    throw new PipelineError(
      'PIPELINE_INVALID_OPTION',
      'the job has no refinement, or no adapter to refine',
    );
  return {
    stage: 'refine',
    levels: [{ source: trainedOriginal(job), emulated: [], steps: job.refinement.batches.length }],
    ...startOf(adapterFromRecord(adapter), trained),
    plan: job.refinement,
    evaluateBefore: false,
  };
}

/** Where refinement begins: with what training left of its optimizer, or with a fresh one. */
function startOf(adapter: LoraAdapter, record: TensorRecord | null): LastLevelStart {
  if (!record) return { adapter, carried: null };
  const trained = adapterFromRecord(record);
  return lastLevelStart(adapter, { adapter: trained, ...secondMomentsIn(record, trained) });
}
