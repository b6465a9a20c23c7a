import { at } from '@emloc/checked';
import type { TrainingState } from '@emloc/finetune';
import type { Evaluation } from '@emloc/tasks';

import type { StageProgress } from '../job/training-store.js';
import { adapterFromRecord, adapterToRecord, parametersOf } from './adapter.js';
import { float32Tensor, hasFields, RecordReader, type TensorRecord } from './tensor-record.js';

/**
 * An adapter's record with what the optimizer keeps beside each matrix: `NAME.first_moment`,
 * `NAME.second_moment` and, of Prodigy, `NAME.gradient_sum`.
 */
function trainingStateToRecord({
  adapter,
  firstMoments,
  secondMoments,
  prodigy,
  ...numbers
}: TrainingState): TensorRecord {
  const { tensors, attributes } = adapterToRecord(adapter);
  const kept = parametersOf(adapter).flatMap(({ name, shape }, index) => [
    float32Tensor(`${name}.first_moment`, shape, at(firstMoments, index)),
    float32Tensor(`${name}.second_moment`, shape, at(secondMoments, index)),
    ...(prodigy
      ? [float32Tensor(`${name}.gradient_sum`, shape, at(prodigy.gradientSums, index))]
      : []),
  ]);
  const estimate = prodigy && { distance: prodigy.distance, numerator: prodigy.numerator };
  return {
    tensors: [...tensors, ...kept],
    attributes: {
      ...attributes,
      training: JSON.stringify(numbers),
      ...(estimate ? { prodigy: JSON.stringify(estimate) } : {}),
    },
  };
}

/** @throws PipelineError PIPELINE_RECORD_INVALID */
function trainingStateFromRecord(record: TensorRecord): TrainingState {
  const reader = new RecordReader(record, 'training state');
  const adapter = adapterFromRecord(record);
  const { step, tokens, seconds, finalLoss } = reader.json('training', isNumbers);
  const parameters = parametersOf(adapter);
  const read = (kind: string): Float32Array[] =>
    parameters.map(({ name, shape }) => reader.float32(`${name}.${kind}`, shape));
  const estimate =
    record.attributes['prodigy'] === undefined ? null : reader.json('prodigy', isEstimate);
  return {
    step,
    tokens,
    seconds,
    finalLoss,
    adapter,
    firstMoments: read('first_moment'),
    secondMoments: read('second_moment'),
    ...(estimate ? { prodigy: { ...estimate, gradientSums: read('gradient_sum') } } : {}),
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
    before: new RecordReader(record, 'training state').json('before', isEvaluationOrNull),
    state: trainingStateFromRecord(record),
  };
}

export function isEvaluation(value: unknown): value is Evaluation {
  return hasFields(value, {
    loss: 'number',
    tokenAccuracy: 'number',
    exactMatch: 'number',
    rows: 'number',
    tokens: 'number',
  });
}

export function isEvaluationOrNull(value: unknown): value is Evaluation | null {
  return value === null || isEvaluation(value);
}

function isEstimate(
  value: unknown,
): value is { readonly distance: number; readonly numerator: number } {
  return hasFields(value, { distance: 'number', numerator: 'number' });
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
