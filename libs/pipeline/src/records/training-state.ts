import { at } from '@emloc/checked';
import type { TrainingState } from '@emloc/finetune';
import type { Score } from '@emloc/tasks';

import type { StageProgress } from '../job/training-store.js';
import { adapterFromRecord, adapterToRecord, parametersOf } from './adapter.js';
import { float32Tensor, hasFields, RecordReader, type TensorRecord } from './tensor-record.js';

/**
 * An adapter's record with its moments beside each matrix: `NAME.first_moment` and
 * `NAME.second_moment`.
 */
function trainingStateToRecord({
  adapter,
  firstMoments,
  secondMoments,
  ...numbers
}: TrainingState): TensorRecord {
  const { tensors, attributes } = adapterToRecord(adapter);
  const moments = parametersOf(adapter).flatMap(({ name, shape }, index) => [
    float32Tensor(`${name}.first_moment`, shape, at(firstMoments, index)),
    float32Tensor(`${name}.second_moment`, shape, at(secondMoments, index)),
  ]);
  return {
    tensors: [...tensors, ...moments],
    attributes: { ...attributes, training: JSON.stringify(numbers) },
  };
}

/** @throws PipelineError PIPELINE_RECORD_INVALID */
function trainingStateFromRecord(record: TensorRecord): TrainingState {
  const reader = new RecordReader(record, 'training state');
  const adapter = adapterFromRecord(record);
  const { step, tokens, seconds, finalLoss } = reader.json('training', isNumbers);
  const parameters = parametersOf(adapter);
  return {
    step,
    tokens,
    seconds,
    finalLoss,
    adapter,
    firstMoments: parameters.map(({ name, shape }) =>
      reader.float32(`${name}.first_moment`, shape),
    ),
    secondMoments: parameters.map(({ name, shape }) =>
      reader.float32(`${name}.second_moment`, shape),
    ),
  };
}

/** A training state's record with the evaluation before training in attribute `before`. */
export function stageProgressToRecord({ before, state }: StageProgress): TensorRecord {
  const { tensors, attributes } = trainingStateToRecord(state);
  return { tensors, attributes: { ...attributes, before: JSON.stringify(before) } };
}

/** @throws PipelineError PIPELINE_RECORD_INVALID */
export function stageProgressFromRecord(record: TensorRecord): StageProgress {
  return {
    before: new RecordReader(record, 'training state').json('before', isScoreOrNull),
    state: trainingStateFromRecord(record),
  };
}

export function isScore(value: unknown): value is Score {
  return hasFields(value, { loss: 'number' });
}

export function isScoreOrNull(value: unknown): value is Score | null {
  return value === null || isScore(value);
}

function isNumbers(
  value: unknown,
): value is Pick<TrainingState, 'step' | 'tokens' | 'seconds' | 'finalLoss'> {
  return hasFields(value, {
    step: 'number',
    tokens: 'number',
    seconds: 'number',
    finalLoss: 'number',
  });
}
