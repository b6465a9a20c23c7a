import { at } from '@emloc/checked';
import type { DeviceProfile, HostDType } from '@emloc/device';
import {
  conditionsOf,
  drawRows,
  plainLosses,
  type Draw,
  type DrawLosses,
  type LatentRows,
} from '@emloc/tasks';
import type { LayerSource } from '@emloc/weight-pager';

import { openModelPager, type JobEnvironment } from '../job/environment.js';
import { rowsFor, rowUses, type Job, type JobTask, type RowUse } from '../job/job.js';
import { residentBytes } from '../plan/default-budget.js';
import { heaviestBatches } from '../plan/heaviest-batches.js';
import {
  keptBytes,
  madeSources,
  makeStreams,
  plannedStreams,
  type MadeStreams,
  type Making,
  type Wanted,
} from './made-streams.js';

/** Draws of a job, by the rows that they are. */
export interface JobDraws {
  /** Of training and, behind them, of refinement. */
  readonly training: readonly Draw[];
  readonly calibration: readonly Draw[];
  readonly validation: readonly Draw[];
}

export interface PictureTaskOptions extends Making {
  readonly draws: JobDraws;
  /** null: the model takes none. */
  readonly guidance: number | null;
  /** Of training. */
  readonly losses: DrawLosses;
}

type Rows = Pick<Job<LatentRows>, 'trainRows' | 'calibration' | 'validation'>;

/** Pictures with noise, whose captions, latents and modulation are made once. */
export class PictureTask implements JobTask<LatentRows> {
  constructor(private readonly options: PictureTaskOptions) {}

  sources(): readonly LayerSource[] {
    return madeSources(this.options);
  }

  planned(job: Job<LatentRows>, dtype: HostDType): Job<LatentRows> {
    return this.#bringing(job, plannedStreams(this.options, dtype));
  }

  async bring(
    job: Job<LatentRows>,
    environment: JobEnvironment,
    uses: readonly RowUse[],
  ): Promise<Job<LatentRows>> {
    const { clock, observer, device, images, signal } = environment;
    clock.enter('front');
    using _stage = clock.during('front');
    const diffusion = { ...this.options.diffusion, transformer: job.whole };
    const making = { ...this.options, diffusion };
    const streams = await makeStreams(making, this.#wanted(job, uses), {
      ...{ device, access: images, signal },
      openPager: (source) => openModelPager(environment, source, 'front'),
      onProgress: (task, done, total) =>
        observer({ type: 'progress', stage: 'front', task, done, total }),
    });
    return this.#bringing(job, streams);
  }

  /** One picture, the largest, through all of the transformer. */
  inferenceBytes(job: Job<LatentRows>, profile: DeviceProfile): Promise<number> {
    const whole = { ...this.options, frontBlocks: 0 };
    const { training } = this.rows(plannedStreams(whole, profile.computeDType));
    const all = { source: training, rows: job.training.batches.flat(2).map((row) => [row]) };
    return residentBytes(job.whole, profile, heaviestBatches(all));
  }

  keptBytes(job: Job<LatentRows>, dtype: HostDType): number {
    return keptBytes(this.options, this.#wanted(job, rowUses), dtype);
  }

  /** Rows of the draws, which bring these streams. */
  rows(streams: MadeStreams): { readonly [K in keyof JobDraws]: LatentRows } {
    const { draws, losses } = this.options;
    const of = (list: readonly Draw[], its: DrawLosses): LatentRows => {
      const { set, guidance } = this.options;
      const { limits, pictures } = set;
      const { captions: prompts, moments, conditioning } = streams;
      return drawRows({
        ...{ draws: list, losses: its, limits, pictures, guidance },
        ...{ prompts, moments, conditioning },
      });
    };
    return {
      training: of(draws.training, losses),
      calibration: of(draws.calibration, plainLosses),
      validation: of(draws.validation, plainLosses),
    };
  }

  #bringing(job: Job<LatentRows>, streams: MadeStreams): Job<LatentRows> {
    const rows = this.rows(streams);
    const brought: Rows = {
      trainRows: rows.training,
      calibration: { ...job.calibration, source: rows.calibration },
      validation: { ...job.validation, source: rows.validation },
    };
    return { ...job, ...brought };
  }

  #wanted(job: Job<LatentRows>, uses: readonly RowUse[]): Wanted {
    const { draws, set, guidance } = this.options;
    const { limits, pictures } = set;
    const lists: Readonly<Record<RowUse, readonly Draw[]>> = {
      ...draws,
      refinement: draws.training,
    };
    const wanted = uses.flatMap((use) =>
      rowsFor(job, use).numbers.map((row) => at(lists[use], row)),
    );
    const conditions = conditionsOf({ draws: wanted, pictures, guidance, limits });
    return {
      captions: unique(conditions.map(({ caption }) => caption)),
      pictures: unique(wanted.map(({ picture }) => picture)),
      conditions,
    };
  }
}

function unique(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}
