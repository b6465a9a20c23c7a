import { join } from 'node:path';
import type { Checkpoint } from '@emloc/checkpoint';
import type { DeviceProfile, HostDType } from '@emloc/device';
import { microBatches } from '@emloc/finetune';
import type { Model } from '@emloc/models';
import {
  conditionOf,
  ConditionSet,
  drawRows,
  plainLosses,
  type Draw,
  type DrawLosses,
  type Draws,
  type LatentRows,
} from '@emloc/tasks';
import type { LayerSource } from '@emloc/weight-pager';

import { openModelPager, type JobEnvironment } from '../job/environment.js';
import {
  rowsFor,
  rowUses,
  type Job,
  type JobSampler,
  type JobTask,
  type RowUse,
} from '../job/job.js';
import { residentBytes } from '../plan/default-budget.js';
import { heaviestBatches } from '../plan/heaviest-batches.js';
import {
  keptFiles,
  madeSources,
  makeStreams,
  plannedStreams,
  type MadeStreams,
  type Making,
  type Wanted,
} from './made-streams.js';
import { samplesFolder, TrainingSamples, type SampleRequests } from './training-samples.js';

/** Draws of a job, by the rows that they are. */
export interface JobDraws {
  /** Of training and, behind them, of refinement. */
  readonly training: Draws;
  readonly calibration: readonly Draw[];
  readonly validation: readonly Draw[];
}

export interface PictureTaskOptions extends Making {
  readonly draws: JobDraws;
  /** null: the model takes none. */
  readonly guidance: number | null;
  /** Of training. */
  readonly losses: DrawLosses;
  /** null: no pictures are made while the model learns. */
  readonly samples: PictureSamples | null;
}

/** Pictures that are made while a model learns. */
export interface PictureSamples extends Pick<SampleRequests, 'requests' | 'conditions'> {
  readonly everySteps: number | null;
}

/** Of models beside the transformer. */
const folders = Object.freeze({ clip: 'text_encoder', t5: 'text_encoder_2', vae: 'vae' });

type Rows = Pick<Job<LatentRows>, 'trainRows' | 'calibration' | 'validation'>;

/** Pictures with noise, whose captions, latents and modulation are made once. */
export class PictureTask implements JobTask<LatentRows> {
  readonly checkpoints: ReadonlyMap<string, Checkpoint>;

  constructor(private readonly options: PictureTaskOptions) {
    const { clip, t5, vaeEncoder } = options.diffusion;
    this.checkpoints = new Map([
      [folders.clip, clip.checkpoint],
      [folders.t5, t5.checkpoint],
      [folders.vae, vaeEncoder.checkpoint],
    ]);
  }

  guarded(guard: (model: Model, folder: string) => Model): PictureTask {
    const { clip, t5, vaeEncoder, vaeDecoder } = this.options.diffusion;
    const guardedModels = {
      clip: guard(clip, folders.clip),
      t5: guard(t5, folders.t5),
      vaeEncoder: guard(vaeEncoder, folders.vae),
      vaeDecoder: guard(vaeDecoder, folders.vae),
    };
    const diffusion = { ...this.options.diffusion, ...guardedModels };
    return new PictureTask({ ...this.options, diffusion });
  }

  sources({ model }: Job<LatentRows>): readonly LayerSource[] {
    const sources = madeSources(this.options);
    return this.options.samples ? [...sources, model.source] : sources;
  }

  planned(job: Job<LatentRows>, dtype: HostDType): Job<LatentRows> {
    const streams = plannedStreams(this.options, dtype);
    const hostBytes = Number.POSITIVE_INFINITY;
    return this.#bringing(job, streams, { images: null, hostBytes });
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
    const most = environment.reads === 'none' ? rehearsedDrawSteps : undefined;
    const streams = await makeStreams(making, this.#wanted(job, uses, most), {
      ...{ device, access: images, signal },
      openPager: (source) => openModelPager(environment, source, 'front'),
      onProgress: (task, done, total) =>
        observer({ type: 'progress', stage: 'front', task, done, total }),
    });
    return this.#bringing(job, streams, environment);
  }

  /** One picture, the largest, through all of the transformer. */
  inferenceBytes(job: Job<LatentRows>, profile: DeviceProfile): Promise<number> {
    const whole = { ...this.options, frontBlocks: 0 };
    const { training } = this.rows(plannedStreams(whole, profile.computeDType));
    const all = { source: training, rows: rowsFor(job, 'training').numbers.map((row) => [row]) };
    return residentBytes(job.whole, profile, heaviestBatches(all));
  }

  keptFiles(job: Job<LatentRows>, dtype: HostDType): readonly number[] {
    return keptFiles(this.options, this.#wanted(job, rowUses), dtype);
  }

  /** Rows of the draws, which bring these streams. */
  rows(streams: MadeStreams): { readonly [K in keyof JobDraws]: LatentRows } {
    const { draws, losses } = this.options;
    const of = (list: Draws, its: DrawLosses): LatentRows => {
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

  #bringing(
    job: Job<LatentRows>,
    streams: MadeStreams,
    environment: Pick<JobEnvironment, 'images' | 'hostBytes' | 'signal'>,
  ): Job<LatentRows> {
    const rows = this.rows(streams);
    const brought: Rows = {
      trainRows: rows.training,
      calibration: { ...job.calibration, source: rows.calibration },
      validation: { ...job.validation, source: rows.validation },
    };
    return { ...job, ...brought, sampler: this.#sampler(streams, environment) };
  }

  #sampler(
    streams: MadeStreams,
    { images, hostBytes, signal }: Pick<JobEnvironment, 'images' | 'hostBytes' | 'signal'>,
  ): JobSampler | null {
    const { samples, set, diffusion } = this.options;
    if (!samples) return null;
    const { everySteps, requests } = samples;
    const made = new TrainingSamples({
      ...{ requests, limits: set.limits, decoder: diffusion.vaeDecoder, streams },
      ...{ folder: images && join(images.folder, samplesFolder), hostBytes, signal },
    });
    return { everySteps, make: (...args) => made.make(...args) };
  }

  /** @param most steps whose draws are looked at; default: all */
  #wanted(job: Job<LatentRows>, uses: readonly RowUse[], most?: number): Wanted {
    const { set, guidance, samples } = this.options;
    const conditions = new ConditionSet();
    const captions = new Set<number>();
    const pictures = new Set<number>();
    for (const use of uses)
      for (const draw of this.#drawsFor(job, use, most)) {
        const condition = conditionOf({ ...set, guidance }, draw);
        conditions.add(condition);
        captions.add(condition.caption);
        pictures.add(draw.picture);
      }
    if (uses.includes('training'))
      for (const condition of samples?.conditions ?? []) {
        conditions.add(condition);
        captions.add(condition.caption);
      }
    return {
      captions: ascending(captions),
      pictures: ascending(pictures),
      conditions: conditions.members,
    };
  }

  *#drawsFor(job: Job<LatentRows>, use: RowUse, most = Number.POSITIVE_INFINITY): Generator<Draw> {
    const { draws } = this.options;
    const plan = { training: job.training, refinement: job.refinement };
    if (use === 'calibration' || use === 'validation') {
      for (const row of rowsFor(job, use).numbers) yield drawAt(draws[use], row);
      return;
    }
    const batches = plan[use]?.batches ?? [];
    for (const rows of microBatches(batches, 0, Math.min(batches.length, most)))
      for (const row of rows) yield drawAt(draws.training, row);
  }
}

/** Steps whose draws a rehearsal looks at: their noise levels are nearly all that there are. */
const rehearsedDrawSteps = 4096;

function drawAt(draws: Draws, number: number): Draw {
  const draw = draws.at(number);
  if (!draw) throw new RangeError(`draw ${number} of ${draws.length}`);
  return draw;
}

function ascending(numbers: ReadonlySet<number>): number[] {
  return [...numbers].sort((a, b) => a - b);
}
