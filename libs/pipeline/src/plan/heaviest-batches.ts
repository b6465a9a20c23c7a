import { at } from '@emloc/checked';
import { packBatch, type EncodedRow, type PackedBatch } from '@emloc/dataset';

import type { Job, TrainingPlan } from '../job/job.js';

/**
 * A job whose batches are only those that can set a memory peak: the ones that no other batch
 * outdoes in rows, sequences, targets and longest sequence at once. Memory grows with each of
 * these, so the peaks are those of the whole job.
 */
export function heaviestJob(job: Job): Job {
  return {
    ...job,
    calibration: heaviestBatches(job.calibration),
    validation: heaviestBatches(job.validation),
    training: heaviestPlan(job.training, job.trainRows),
    refinement: job.refinement && heaviestPlan(job.refinement, job.trainRows),
  };
}

function heaviestPlan(plan: TrainingPlan, rows: readonly EncodedRow[]): TrainingPlan {
  const microBatches = plan.batches.flat();
  const packed = microBatches.map((indices) =>
    packBatch(indices.flatMap((index) => at(rows, index))),
  );
  const heaviest = new Set(heaviestBatches(packed));
  return {
    ...plan,
    batches: microBatches
      .filter((_, index) => heaviest.has(at(packed, index)))
      .map((batch) => [batch]),
  };
}

/** The Pareto front of batches by what memory depends on; one of several equals. */
export function heaviestBatches(batches: readonly PackedBatch[]): PackedBatch[] {
  const measured = batches.map((batch) => ({ batch, weight: weightOf(batch) }));
  const front: typeof measured = [];
  for (const candidate of measured) {
    if (front.some(({ weight }) => outdoes(weight, candidate.weight))) continue;
    for (let i = front.length - 1; i >= 0; i -= 1) {
      if (outdoes(candidate.weight, at(front, i).weight)) front.splice(i, 1);
    }
    front.push(candidate);
  }
  return front.map(({ batch }) => batch);
}

function weightOf({ offsets, tokens, targets }: PackedBatch): readonly number[] {
  let longest = 0;
  for (let i = 1; i < offsets.length; i += 1)
    longest = Math.max(longest, at(offsets, i) - at(offsets, i - 1));
  return [tokens, offsets.length, targets.length, longest];
}

function outdoes(a: readonly number[], b: readonly number[]): boolean {
  return a.every((value, index) => value >= at(b, index));
}
