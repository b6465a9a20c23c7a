import { at } from '@emloc/checked';
import { deltaChunkRows, mostDeltaChunks, type DeviceProfile } from '@emloc/device';
import { coveringBatches, coveringShape, microBatches, roundedShape } from '@emloc/finetune';
import { longestSequence, type BatchShape, type RowSource } from '@emloc/models';

import type { Job, TrainingPlan } from '../job/job.js';
import { roundedTokens } from '../job/rounded-tokens.js';
import { supremum } from './supremum.js';

/**
 * A job whose batches are only those that can set a memory peak: the ones that no other batch
 * outdoes in rows, sequences, targets, longest sequence and chunks at once, as it is and rounded.
 * Memory grows with each of these, so the peaks are those of the whole job, or where its steps are
 * too many to be looked at, above them.
 */
export function heaviestJob(job: Job, profile: DeviceProfile): Job {
  const { trainRows: source } = job;
  const rounded = (emulated: Job['emulated']): number => roundedTokens(job, emulated, profile);
  return {
    ...job,
    calibration: heaviestBatches(job.calibration),
    validation: heaviestBatches(job.validation),
    training: heaviestPlan(job.training, source, rounded(job.emulated)),
    refinement: job.refinement && heaviestPlan(job.refinement, source, rounded([])),
    // The finest emulator takes most.
    levels: null,
  };
}

/** Steps whose batches are looked at one by one: so many cost about a second. */
const lookedAtSteps = 4096;

/** @param mostTokens of batches that are rounded where it is not an anchor that reads them */
function heaviestPlan(plan: TrainingPlan, source: RowSource, mostTokens: number): TrainingPlan {
  const { batches } = plan;
  const weigh = (shape: BatchShape): readonly number[] => [
    ...weightOf(shape),
    ...weightOf(roundedShape(shape, mostTokens)),
  ];
  if (batches.repeatsShapes === true) {
    const { rows } = heaviestBatches({ source, rows: coveringBatches(batches) }, weigh);
    return { ...plan, batches: rows.map((batch) => [batch]) };
  }
  const steps = Math.min(batches.length, lookedAtSteps);
  const { rows } = heaviestBatches(
    { source, rows: copies(microBatches(batches, 0, steps)) },
    weigh,
  );
  return {
    ...plan,
    batches: rows.map((batch) => [batch]),
    ...(plan.anchors && { anchors: { ...plan.anchors, isAnchor: () => true } }),
    ...(steps < batches.length && {
      heaviest: coveringShape(supremum(source, batches), mostTokens),
    }),
  };
}

/** Lists of their own, so that a source keeps nothing of what it makes of them. */
function* copies(batches: Iterable<readonly number[]>): Generator<readonly number[]> {
  for (const rows of batches) yield [...rows];
}

interface ManyBatches {
  readonly source: RowSource;
  readonly rows: Iterable<readonly number[]>;
}

/** The Pareto front of batches by what memory depends on; one of several equals. */
export function heaviestBatches<B extends ManyBatches>(
  batches: B,
  weigh = weightOf,
): B & { readonly rows: readonly (readonly number[])[] } {
  const front: { readonly rows: readonly number[]; readonly weight: readonly number[] }[] = [];
  for (const rows of batches.rows) {
    const weight = weigh(batches.source.shape(rows));
    if (front.some((other) => outdoes(other.weight, weight))) continue;
    const kept = front.filter((other) => !outdoes(weight, other.weight));
    front.splice(0, front.length, ...kept, { rows, weight });
  }
  return { ...batches, rows: front.map(({ rows }) => rows) };
}

/** What memory depends on, and grows with. */
export function weightOf({ layouts, integers, padded }: BatchShape): readonly number[] {
  const ofRows = [...layouts.values()].flatMap((offsets) => [
    offsets.at(-1) ?? 0,
    offsets.length,
    padded?.longest ?? longestSequence(offsets),
    padded ? mostDeltaChunks(offsets) : chunksIn(offsets),
  ]);
  return [...ofRows, ...integers.values()];
}

/** Chunks of the sequences, at whose starts linear attention keeps its states. */
function chunksIn(offsets: readonly number[]): number {
  const lengths = offsets.slice(1).map((end, index) => end - at(offsets, index));
  return lengths.reduce((sum, length) => sum + Math.ceil(length / deltaChunkRows), 0);
}

/** Whether `a` is at least as much of everything. */
export function outdoes(a: readonly number[], b: readonly number[]): boolean {
  return a.every((value, index) => value >= at(b, index));
}
