import { at } from '@emloc/checked';
import { batchesOf, type StepBatches } from '@emloc/finetune';
import type { RowSource } from '@emloc/models';
import type { LayerSource } from '@emloc/weight-pager';

import type { EmulatedLinear } from '../job/emulated-linear.js';
import type { JobRun } from '../job/job-run.js';
import type { TrainingPlan } from '../job/job.js';
import { heaviestRow, withHeaviest } from '../plan/supremum.js';

/** A part of a training run, on a model of its own. */
export interface TrainedLevel {
  readonly source: LayerSource;
  /** The linears that the source has as factors. */
  readonly emulated: readonly EmulatedLinear[];
  /** Of the plan's steps, behind those of the levels before. */
  readonly steps: number;
}

/** What is trained on. */
export interface StageSteps {
  readonly rows: RowSource;
  readonly batches: StepBatches;
  /** By level: the steps up to its end. */
  readonly ends: readonly number[];
}

/** In a rehearsal it may be the first steps of each level, and a batch that none outdoes. */
export function stepsOf(
  { job: { trainRows: rows }, environment: { mostSteps } }: JobRun,
  { batches, heaviest }: TrainingPlan,
  levels: readonly TrainedLevel[],
): StageSteps {
  const lengths = levels.length > 1 ? levels.map(({ steps }) => steps) : [batches.length];
  if (mostSteps === undefined && !heaviest) return { rows, batches, ends: sums(lengths) };
  const share = Math.min(1, (mostSteps ?? batches.length) / batches.length);
  const starts = [0, ...sums(lengths)];
  const counts = lengths.map((length) => Math.max(Math.min(length, 1), Math.floor(share * length)));
  const first = counts.flatMap((count, level) =>
    Array.from({ length: count }, (_, step) => batchesOf(batches, at(starts, level) + step)),
  );
  if (!heaviest) return { rows, batches: first, ends: sums(counts) };
  return {
    rows: withHeaviest(rows, heaviest),
    batches: [...first, [[heaviestRow]]],
    ends: [first.length + 1],
  };
}

function sums(values: readonly number[]): number[] {
  return values.map((_, index) =>
    values.slice(0, index + 1).reduce((sum, value) => sum + value, 0),
  );
}

/** The level that a run is in after so many steps: at the end of one still that one. */
export function levelOf(ends: readonly number[], step: number): number {
  return Math.max(
    0,
    ends.findIndex((end) => step <= end),
  );
}
