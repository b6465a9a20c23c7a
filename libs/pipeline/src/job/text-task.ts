import type { DeviceProfile, HostDType } from '@emloc/device';
import type { RowSource } from '@emloc/models';
import { TextTables, type TextRows } from '@emloc/tasks';

import { inferenceBytes } from '../plan/default-budget.js';
import { frontSource, tilesFor } from '../stages/front.js';
import { openModelPager, type JobEnvironment } from './environment.js';
import { frontBytes, plannedTiles, type JobImages } from './images.js';
import { rowsFor, rowUses, type Job, type JobTask, type RowUse } from './job.js';

/** Texts, with images where the model takes some. */
export function textTask(images: JobImages | null): JobTask<TextRows> {
  return images ? new ImageTextTask(images) : plainText;
}

function prefillBytes({ whole, options }: Job<TextRows>, profile: DeviceProfile): Promise<number> {
  return inferenceBytes(whole, profile, options.maxLength);
}

const plainText: JobTask<TextRows> = Object.freeze({
  checkpoints: new Map(),
  guarded: () => plainText,
  inferenceBytes: prefillBytes,
  sources: () => [],
  planned: (job: Job<TextRows>) => job,
  bring: (job: Job<TextRows>, { reads }: JobEnvironment) =>
    Promise.resolve(reads === 'none' ? job : lookingUp(job)),
  keptFiles: () => [],
});

/** The job with rows that bring what the model's tables have of their tokens. */
function lookingUp(job: Job<TextRows>): Job<TextRows> {
  const { layout, tables: reader } = job.whole;
  if (layout.tables.length === 0) return job;
  const tables = new TextTables(layout, reader);
  return withRows(job, (rows) => rows.lookingUp(tables));
}

class ImageTextTask implements JobTask<TextRows> {
  readonly inferenceBytes = prefillBytes;
  readonly checkpoints = new Map();

  constructor(private readonly images: JobImages) {}

  guarded(): this {
    return this;
  }

  sources({ whole }: Job<TextRows>) {
    return this.images.front ? [frontSource({ whole, images: this.images })] : [];
  }

  planned(job: Job<TextRows>, dtype: HostDType): Job<TextRows> {
    return bringing(job, plannedTiles(this.images, dtype));
  }

  async bring(
    job: Job<TextRows>,
    environment: JobEnvironment,
    uses: readonly RowUse[],
  ): Promise<Job<TextRows>> {
    const { clock, observer } = environment;
    const tiles = await tilesFor(
      { whole: job.whole, images: this.images, tiles: tilesOf(job, uses) },
      {
        device: environment.device,
        access: environment.images,
        openPager: (source) => openModelPager(environment, source, 'front'),
        begin: () => {
          clock.enter('front');
          return clock.during('front');
        },
        onProgress: (done, total) =>
          observer({ type: 'progress', stage: 'front', task: 'images', done, total }),
        signal: environment.signal,
      },
    );
    return bringing(job, tiles);
  }

  keptFiles(job: Job<TextRows>, dtype: HostDType): readonly number[] {
    const { limits, front } = this.images;
    return front ? tilesOf(job, rowUses).map(() => frontBytes(limits, front, dtype)) : [];
  }
}

/** The job with rows whose images bring this. */
function bringing(job: Job<TextRows>, tiles: RowSource): Job<TextRows> {
  return withRows(job, (rows) => rows.bringing(tiles));
}

function withRows(job: Job<TextRows>, change: (rows: TextRows) => TextRows): Job<TextRows> {
  const { trainRows, calibration, validation } = job;
  return {
    ...job,
    trainRows: change(trainRows),
    calibration: { ...calibration, source: change(calibration.source) },
    validation: { ...validation, source: change(validation.source) },
  };
}

/** Numbers of the tiles in the rows that a job has for these uses, ascending. */
function tilesOf(job: Job<TextRows>, uses: readonly RowUse[]): readonly number[] {
  const tiles = uses.flatMap((use) => {
    const { source, numbers } = rowsFor(job, use);
    return source.tilesOf(numbers);
  });
  return [...new Set(tiles)].sort((a, b) => a - b);
}
