import type { HostDType } from '@emloc/device';
import type { Model, RowSource } from '@emloc/models';

import { behindFront, frontBytes } from './images.js';
import type { Job } from './job.js';

/** The job with another source of its whole model's pages. */
export function onModel(job: Job, whole: Model): Job {
  return { ...job, whole, model: behindFront(whole, job.images?.front ?? null) };
}

/** The job with rows whose images bring this. */
export function bringing(job: Job, tiles: RowSource): Job {
  const { trainRows, calibration, validation } = job;
  return {
    ...job,
    trainRows: trainRows.bringing(tiles),
    calibration: { ...calibration, source: calibration.source.bringing(tiles) },
    validation: { ...validation, source: validation.source.bringing(tiles) },
  };
}

/** Bytes of what a job keeps of its images on disk. */
export function keptImageBytes(job: Job, dtype: HostDType): number {
  const { images } = job;
  if (!images?.front) return 0;
  return tilesOf(job, rowUses).length * frontBytes(images.limits, images.front, dtype);
}

/** What a stage reads rows for. */
export type RowUse = (typeof rowUses)[number];

export const rowUses = ['calibration', 'training', 'refinement', 'validation'] as const;

/** Numbers of the tiles in the rows that a job has for these uses, ascending. */
export function tilesOf(job: Job, uses: readonly RowUse[]): readonly number[] {
  const { trainRows, calibration, validation, training, refinement, emulated } = job;
  const tiles: Readonly<Record<RowUse, () => readonly number[]>> = {
    calibration: () =>
      emulated.length > 0 ? calibration.source.tilesOf(calibration.rows.flat()) : [],
    training: () => trainRows.tilesOf(training.batches.flat(2)),
    refinement: () => trainRows.tilesOf(refinement?.batches.flat(2) ?? []),
    validation: () => validation.source.tilesOf(validation.rows.flat()),
  };
  return [...new Set(uses.flatMap((use) => tiles[use]()))].sort((a, b) => a - b);
}
