import type { LoraAdapter } from '@emloc/checkpoint';
import type { Score } from '@emloc/tasks';

import { adapterFromRecord, adapterToRecord } from '../records/adapter.js';
import { secondMomentsIn, withSecondMoments } from '../records/second-moments.js';
import { hasFields, jsonOf, RecordReader, type TensorRecord } from '../records/tensor-record.js';
import { isScore, isScoreOrNull } from '../records/training-state.js';
import { isCourse, type TrainingCourse } from './training-course.js';

/** What training has come to. */
export interface TunedOutcome {
  readonly adapter: LoraAdapter;
  /**
   * On the validation split, of the model that was trained on: without an adapter and with the
   * trained one.
   */
  readonly before: Score | null;
  readonly after: Score;
  readonly course: TrainingCourse;
  readonly steps: number;
  readonly tokens: number;
  readonly seconds: number;
  /** Training loss of the last step. */
  readonly finalLoss: number;
  /**
   * AdamW's as the last step left them, in the order of the adapter's matrices, for a last level on
   * the original; null: none is to be gone on with.
   */
  readonly secondMoments: readonly Float32Array[] | null;
}

/** What correction has come to. */
export interface CorrectionOutcome {
  /** The candidate that goes on. */
  readonly adapter: LoraAdapter;
  /** Its key in `scores`. */
  readonly chosen: string;
  /** Validation loss on the original by candidate: `none` and each λ. */
  readonly scores: Readonly<Record<string, number>>;
  /** Validation loss of the original without an adapter. */
  readonly baseLoss: number;
}

/** What refinement has come to. */
export interface RefinementOutcome {
  readonly adapter: LoraAdapter;
  /** Its validation loss on the original. */
  readonly loss: number;
  readonly steps: number;
  readonly kept: boolean;
  readonly course: TrainingCourse;
}

/** Outcomes by stage. */
export interface StageOutcome {
  readonly train: TunedOutcome;
  readonly correct: CorrectionOutcome;
  readonly refine: RefinementOutcome;
}

/**
 * An adapter's record with the numbers of an outcome in attribute `outcome`, and of training the
 * optimizer's second moments.
 */
export function outcomeToRecord(outcome: StageOutcome[keyof StageOutcome]): TensorRecord {
  const { adapter } = outcome;
  const numbers = { ...outcome, adapter: undefined, secondMoments: undefined };
  const { tensors, attributes } = adapterToRecord(adapter);
  const record = { tensors, attributes: { ...attributes, outcome: jsonOf(numbers) } };
  return 'secondMoments' in outcome ? withSecondMoments(record, adapter, outcome) : record;
}

/** @throws PipelineError PIPELINE_RECORD_INVALID */
export function outcomeFromRecord<S extends keyof StageOutcome>(
  stage: S,
  record: TensorRecord,
): StageOutcome[S] {
  const numbers = new RecordReader(record, `outcome of ${stage}`).json(
    'outcome',
    (value): value is Omit<StageOutcome[S], 'adapter'> => isNumbersOf[stage](value),
  );
  const adapter = adapterFromRecord(record);
  const { secondMoments } = secondMomentsIn(record, adapter);
  return { ...numbers, adapter, ...(stage === 'train' && { secondMoments }) } as StageOutcome[S];
}

const isNumbersOf: Readonly<Record<keyof StageOutcome, (value: unknown) => boolean>> =
  Object.freeze({
    train: (value: unknown) =>
      hasFields(value, {
        steps: 'number',
        tokens: 'number',
        seconds: 'number',
        finalLoss: 'number',
      }) &&
      isScoreOrNull(value['before']) &&
      isScore(value['after']) &&
      isCourse(value['course']),
    correct: (value: unknown) =>
      hasFields(value, { chosen: 'string', baseLoss: 'number' }) &&
      typeof value['scores'] === 'object' &&
      Object.values(value['scores'] ?? {}).every((score) => typeof score === 'number'),
    refine: (value: unknown) =>
      hasFields(value, { loss: 'number', steps: 'number', kept: 'boolean' }) &&
      isCourse(value['course']),
  });
