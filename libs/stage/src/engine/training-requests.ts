import type { TensorRecord } from '@emloc/pipeline';
import {
  stageProgressFromRecord,
  stageProgressToRecord,
  type StageProgress,
  type TrainingStore,
} from '@emloc/pipeline/stages';

/** What a training stage asks its service. */
export type TrainingRequest =
  | { readonly type: 'load-training' }
  | { readonly type: 'save-training'; readonly step: number; readonly record: TensorRecord };

/** States of training that the service keeps, so that another process can go on from them. */
export function requestedTraining(
  request: (request: TrainingRequest) => Promise<TensorRecord | null>,
  everySteps: number,
): TrainingStore {
  return {
    everySteps,
    load: async (): Promise<StageProgress | null> => {
      const record = await request({ type: 'load-training' });
      return record && stageProgressFromRecord(record);
    },
    save: async (_stage, progress) => {
      // The record's tensors are the training's own: they are copied to the other thread, not
      // moved.
      await request({
        type: 'save-training',
        step: progress.state.step,
        record: stageProgressToRecord(progress),
      });
    },
  };
}
