import { at } from '@emloc/checked';
import type { LoraAdapter } from '@emloc/checkpoint';
import type { TrainingState } from '@emloc/finetune';
import type { Score } from '@emloc/tasks';

import { isCurve } from '../job/training-course.js';
import type { KeptValidations, StageProgress, ValidatedState } from '../job/training-store.js';
import { adapterFromRecord, adapterToRecord, parametersOf } from './adapter.js';
import {
  float32Tensor,
  hasFields,
  jsonOf,
  RecordReader,
  type TensorRecord,
} from './tensor-record.js';

/**
 * An adapter's record with what the optimizer keeps beside each matrix: `NAME.first_moment`,
 * `NAME.second_moment` and, of Prodigy, `NAME.gradient_sum`; of an anchored run `NAME.anchor`, what
 * is added to its gradient.
 */
function trainingStateToRecord({
  adapter,
  firstMoments,
  secondMoments,
  prodigy,
  anchor,
  ...numbers
}: TrainingState): TensorRecord {
  const { tensors, attributes } = adapterToRecord(adapter);
  const kept = parametersOf(adapter).flatMap(({ name, shape }, index) => [
    float32Tensor(`${name}.first_moment`, shape, at(firstMoments, index)),
    float32Tensor(`${name}.second_moment`, shape, at(secondMoments, index)),
    ...(prodigy
      ? [float32Tensor(`${name}.gradient_sum`, shape, at(prodigy.gradientSums, index))]
      : []),
    ...(anchor ? [float32Tensor(`${name}.anchor`, shape, at(anchor, index))] : []),
  ]);
  const estimate = prodigy && { distance: prodigy.distance, numerator: prodigy.numerator };
  return {
    tensors: [...tensors, ...kept],
    attributes: {
      ...attributes,
      training: jsonOf(numbers),
      ...(anchor ? { anchored: jsonOf(true) } : {}),
      ...(estimate ? { prodigy: jsonOf(estimate) } : {}),
    },
  };
}

/** @throws PipelineError PIPELINE_RECORD_INVALID */
function trainingStateFromRecord(record: TensorRecord): TrainingState {
  const reader = new RecordReader(record, 'training state');
  const adapter = adapterFromRecord(record);
  const numbers = reader.json('training', isNumbers);
  const parameters = parametersOf(adapter);
  const read = (kind: string): Float32Array[] =>
    parameters.map(({ name, shape }) => reader.float32(`${name}.${kind}`, shape));
  const estimate =
    record.attributes['prodigy'] === undefined ? null : reader.json('prodigy', isEstimate);
  return {
    ...numbers,
    adapter,
    firstMoments: read('first_moment'),
    secondMoments: read('second_moment'),
    ...(estimate ? { prodigy: { ...estimate, gradientSums: read('gradient_sum') } } : {}),
    ...(record.attributes['anchored'] === undefined ? {} : { anchor: read('anchor') }),
  };
}

/**
 * A training state's record with the evaluation before training in attribute `before`, that of
 * validations in `validations`, and the matrices of their best state as `NAME.best`.
 */
export function stageProgressToRecord({ before, state, validations }: StageProgress): TensorRecord {
  const { tensors, attributes } = trainingStateToRecord(state);
  const { adapter, ...best } = validations?.best ?? {};
  const kept = validations && {
    curve: validations.curve,
    best: validations.best && best,
  };
  const bestTensors = (adapter ? parametersOf(adapter) : []).map(({ name, shape, values }) =>
    float32Tensor(`${name}.best`, shape, values),
  );
  return {
    tensors: [...tensors, ...bestTensors],
    attributes: { ...attributes, before: jsonOf(before), validations: jsonOf(kept) },
  };
}

/** @throws PipelineError PIPELINE_RECORD_INVALID */
export function stageProgressFromRecord(record: TensorRecord): StageProgress {
  const reader = new RecordReader(record, 'training state');
  const state = trainingStateFromRecord(record);
  const kept = reader.json('validations', isKeptOrNull);
  return {
    before: reader.json('before', isScoreOrNull),
    state,
    validations: kept && {
      curve: kept.curve,
      best: kept.best && { ...kept.best, adapter: bestOf(state.adapter, reader) },
    },
  };
}

/** The best validated adapter, of the same layers as the state's. */
function bestOf(adapter: LoraAdapter, reader: RecordReader): LoraAdapter {
  const { rank } = adapter;
  const layers = [...adapter.layers].map(([path, layer]) => {
    const { inFeatures, outFeatures } = layer;
    const a = reader.float32(`${path}.lora_A.best`, [rank, inFeatures]);
    const b = reader.float32(`${path}.lora_B.best`, [outFeatures, rank]);
    const magnitude = layer.magnitude && reader.float32(`${path}.magnitude.best`, [outFeatures]);
    return [path, { ...layer, a, b, ...(magnitude && { magnitude }) }] as const;
  });
  return { ...adapter, layers: new Map(layers) };
}

interface KeptNumbers {
  readonly curve: KeptValidations['curve'];
  readonly best: Omit<ValidatedState, 'adapter'> | null;
}

function isKeptOrNull(value: unknown): value is KeptNumbers | null {
  if (value === null) return true;
  if (!hasFields(value, {}) || !isCurve(value['curve'])) return false;
  const { best } = value;
  return best === null || (hasFields(best, { step: 'number' }) && isScore(best['score']));
}

export function isScore(value: unknown): value is Score {
  return hasFields(value, { loss: 'number' });
}

export function isScoreOrNull(value: unknown): value is Score | null {
  return value === null || isScore(value);
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
