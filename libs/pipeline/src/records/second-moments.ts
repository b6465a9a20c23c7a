import { at } from '@emloc/checked';
import type { LoraAdapter } from '@emloc/checkpoint';

import { parametersOf } from './adapter.js';
import {
  float32Tensor,
  hasFields,
  jsonOf,
  RecordReader,
  type TensorRecord,
} from './tensor-record.js';

/** AdamW's second moments, in the order of an adapter's matrices, after so many steps. */
export interface KeptMoments {
  readonly steps: number;
  readonly secondMoments: readonly Float32Array[] | null;
}

/** A record of an adapter with what is kept of its optimizer beside its matrices. */
export function withSecondMoments(
  record: TensorRecord,
  adapter: LoraAdapter,
  { steps, secondMoments }: KeptMoments,
): TensorRecord {
  if (!secondMoments) return record;
  const kept = parametersOf(adapter).map(({ name, shape }, index) =>
    float32Tensor(`${name}.second_moment`, shape, at(secondMoments, index)),
  );
  const attributes = { ...record.attributes, optimizer: jsonOf({ steps }) };
  return { attributes, tensors: [...record.tensors, ...kept] };
}

/**
 * What a record of an adapter has of them.
 * @throws PipelineError PIPELINE_RECORD_INVALID
 */
export function secondMomentsIn(record: TensorRecord, adapter: LoraAdapter): KeptMoments {
  if (record.attributes['optimizer'] === undefined) return { steps: 0, secondMoments: null };
  const reader = new RecordReader(record, 'second moments');
  const { steps } = reader.json('optimizer', isSteps);
  const secondMoments = parametersOf(adapter).map(({ name, shape }) =>
    reader.float32(`${name}.second_moment`, shape),
  );
  return { steps, secondMoments };
}

function isSteps(value: unknown): value is { readonly steps: number } {
  return hasFields(value, { steps: 'number' });
}
