import { fromJson } from '@bufbuild/protobuf';
import { TuneOptionsSchema } from '@emloc/contracts';
import { endsOnOriginal } from '@emloc/pipeline';

import { isFinal, type JobRecord, type StageName } from '../jobs/record.js';

/** What a job needs next. */
export type Step =
  | { readonly kind: 'start' }
  /** Stages that run at the same time. */
  | { readonly kind: 'stages'; readonly stages: readonly StageName[] }
  /** The adapter's folder is made and stored. */
  | { readonly kind: 'outcome' }
  | { readonly kind: 'end'; readonly state: 'SUCCEEDED' | 'CANCELLED' }
  /** The job is over: what its stages left is discarded. */
  | { readonly kind: 'settle' }
  | { readonly kind: 'none' };

/** Decided from the record alone, so that whoever leads goes on where another stopped. */
export function nextStep(record: JobRecord): Step {
  if (record.settled) return { kind: 'none' };
  if (isFinal(record.state)) return { kind: 'settle' };
  if (record.state === 'CANCELLING') return { kind: 'end', state: 'CANCELLED' };
  if (record.state === 'QUEUED') return { kind: 'start' };
  const missing = stageOrder(record)
    .map((stages) => stages.filter((stage) => !record.stages[stage]?.result))
    .find((stages) => stages.length > 0);
  if (missing) return { kind: 'stages', stages: missing };
  if (!record.outcome) return { kind: 'outcome' };
  const hasMerged = record.merge === null || record.stages.merge?.result;
  return hasMerged ? { kind: 'end', state: 'SUCCEEDED' } : { kind: 'stages', stages: ['merge'] };
}

/** Stages up to the adapter; those of one entry overlap. */
function stageOrder({ isEmulated, options }: JobRecord): readonly (readonly StageName[])[] {
  if (!isEmulated) return [['train']];
  const { refineSteps, levels } = fromJson(TuneOptionsSchema, options);
  const isRefined = levels === undefined ? refineSteps !== 0 : endsOnOriginal(levels);
  return [
    ['calibrate', 'emulate'],
    ['train'],
    ['correct'],
    ...(isRefined ? [['refine'] as const] : []),
  ];
}
