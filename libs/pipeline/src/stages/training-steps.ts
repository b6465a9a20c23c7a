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
  /** @param step 0 for the first */
  isAnchor(step: number): boolean;
}

/** In a rehearsal it may be the first steps of each level, and a batch that none outdoes. */
export function stepsOf(
  { job: { trainRows: rows }, environment: { mostSteps } }: JobRun,
  plan: TrainingPlan,
  levels: readonly TrainedLevel[],
): StageSteps {
  const { batches, heaviest } = plan;
  const isAnchor = (step: number): boolean => plan.anchors?.isAnchor(step) ?? false;
  const lengths = levels.length > 1 ? levels.map(({ steps }) => steps) : [batches.length];
  if (mostSteps === undefined && !heaviest) return { rows, batches, ends: sums(lengths), isAnchor };
  const share = Math.min(1, (mostSteps ?? batches.length) / batches.length);
  const starts = [0, ...sums(lengths)];
  const taken = lengths.map((length, level) =>
    rehearsed({ start: at(starts, level), length, share, isAnchor }),
  );
  const numbers = taken.flat();
  const first = numbers.map((step) => batchesOf(batches, step));
  const ends = sums(taken.map(({ length }) => length));
  if (!heaviest)
    return { rows, batches: first, ends, isAnchor: (step) => isAnchor(at(numbers, step)) };
  return {
    rows: withHeaviest(rows, heaviest),
    batches: [...first, [[heaviestRow]]],
    ends: [first.length + 1],
    // The heaviest batch is one of an anchor, too.
    isAnchor: (step) =>
      step < numbers.length ? isAnchor(at(numbers, step)) : plan.anchors !== undefined,
  };
}

/**
 * The first steps of a level, and where its second anchor is behind them, that one: the first one
 * is not told from what is done once.
 */
function rehearsed({
  start,
  length,
  share,
  isAnchor,
}: {
  readonly start: number;
  readonly length: number;
  /** Of the steps. */
  readonly share: number;
  readonly isAnchor: (step: number) => boolean;
}): readonly number[] {
  const count = Math.max(Math.min(length, 1), Math.floor(share * length));
  const steps = Array.from({ length: count }, (_, step) => start + step);
  if (steps.slice(1).some(isAnchor)) return steps;
  for (let step = start + count; step < start + length; step += 1)
    if (isAnchor(step)) return [...steps, step];
  return steps;
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
