import {
  RefineResultSchema,
  TrainResultSchema,
  type RefineRequest,
  type StoredObject,
  type TrainRequest,
} from '@emloc/contracts';
import { tensorKeys } from '@emloc/job-storage';
import type { TensorRecord, TrainingCourse } from '@emloc/pipeline';
import { isRefinementKept, refinementNotice } from '@emloc/pipeline/stages';
import {
  blockFactors,
  movedRecord,
  reportMessage,
  storeRecord,
  type StageAttempt,
  type StageHandler,
} from '@emloc/stage';

import type { TrainContract, TrainingOutcome, TrainingTask } from './contract.js';
import { TrainingLog } from './training-log.js';
import { stepOf, TrainingStates } from './training-states.js';

export interface TrainerSettings {
  readonly checkpointSteps: number;
}

/** Trains on the emulator; at ratio 1, on the original. */
export function trainStage(
  settings: TrainerSettings,
): StageHandler<TrainRequest, typeof TrainResultSchema> {
  return {
    stage: 'train',
    result: TrainResultSchema,
    resumedFrom: async ({ record }) => stepOf(record.checkpoint),
    run: async (attempt) => {
      const task = { stage: 'train', adapter: null, trained: null, ...settings } as const;
      const outcome = await runTraining(attempt, task);
      const { report, steps, tokens, seconds, finalLoss, lossBefore, lossAfter, course } = outcome;
      return {
        report: reportMessage('train', report),
        train: {
          steps,
          tokens: BigInt(tokens),
          tokensPerSecond: seconds > 0 ? tokens / seconds : 0,
          finalLoss,
          course: courseMessage(course),
        },
        lossBefore: lossBefore ?? Number.NaN,
        lossAfter,
        adapter: await store(attempt, 'train', outcome.adapter),
        log: await storeLog(attempt, 'train', outcome.log),
      };
    },
  };
}

/** Trains the corrected adapter on, on the original, and answers with the better one. */
export function refineStage(
  settings: TrainerSettings,
): StageHandler<RefineRequest, typeof RefineResultSchema> {
  return {
    stage: 'refine',
    result: RefineResultSchema,
    resumedFrom: async ({ record }) => stepOf(record.checkpoint),
    run: async (attempt, { adapter: given, loss: before, trained: left }) => {
      const adapter = await attempt.records.read('lora', given?.name ?? '');
      const trained = left ? await attempt.records.read('lora', left.name) : null;
      const task = { stage: 'refine', adapter, trained, ...settings } as const;
      const outcome = await runTraining(attempt, task);
      const { report, steps, lossAfter, course } = outcome;
      const kept = isRefinementKept(before, lossAfter, course);
      const message = refinementNotice(before, lossAfter, course);
      if (message !== null) attempt.emit({ case: 'notice', value: { message } });
      return {
        report: reportMessage('refine', report),
        refinement: { steps, kept, course: courseMessage(course) },
        loss: lossAfter,
        adapter: kept ? await store(attempt, 'refine', outcome.adapter) : given,
        log: await storeLog(attempt, 'refine', outcome.log),
      };
    },
  };
}

/** How a training run went, as the contracts say it. */
function courseMessage({ curve, divergence, ...same }: TrainingCourse) {
  return { ...same, curve: [...(curve ?? [])], divergence: divergence ?? '' };
}

async function runTraining(
  attempt: StageAttempt,
  task: TrainingTask,
): Promise<TrainingOutcome & { readonly log: TrainingLog }> {
  const log = new TrainingLog();
  const states = new TrainingStates(attempt, task.stage);
  const factorsOf = blockFactors(attempt);
  const outcome = await attempt.runEngine<TrainContract>(
    task,
    async (request) => {
      switch (request.type) {
        case 'load-training': {
          const record = await states.load();
          if (record) log.restore(record);
          return record && movedRecord(record);
        }
        case 'save-training':
          await states.save(request.step, log.within(request.record));
          return null;
        case 'factors':
          return movedRecord(await factorsOf(request.block));
      }
    },
    (told) => log.observe(told),
  );
  return { ...outcome, log };
}

function storeLog(
  attempt: StageAttempt,
  stage: 'train' | 'refine',
  log: TrainingLog,
): Promise<StoredObject> {
  return storeRecord(attempt.records, attempt.storage, {
    key: tensorKeys.log(attempt.job, stage, attempt.token),
    record: log.within({ tensors: [], attributes: {} }),
  });
}

function store(
  attempt: StageAttempt,
  stage: 'train' | 'refine',
  record: TensorRecord,
): Promise<StoredObject> {
  return storeRecord(attempt.records, attempt.storage, {
    key: tensorKeys.adapter(attempt.job, stage, attempt.token),
    record,
  });
}
