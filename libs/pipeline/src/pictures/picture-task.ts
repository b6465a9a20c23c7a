import { join } from 'node:path';
import { at } from '@emloc/checked';
import type { Checkpoint } from '@emloc/checkpoint';
import type { DeviceProfile, HostDType } from '@emloc/device';
import { batchesOf, microBatches } from '@emloc/finetune';
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
  ownBatches,
  rowsFor,
  rowUses,
  type Job,
  type JobSampler,
  type JobTask,
  type RowUse,
} from '../job/job.js';
import { residentBytes } from '../plan/default-budget.js';
import { heaviestBatches } from '../plan/heaviest-batches.js';
import { expectedConditions } from './count-conditions.js';
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
  /** The share of a picture's training draws that each noise level has, by its index. */
  levelShares(picture: number): Float64Array;
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

type SamplerHost = Pick<JobEnvironment, 'images' | 'hostBytes' | 'onTimes' | 'signal'>;

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
    const { clock, observer, device, images, onTimes, signal } = environment;
    clock.enter('front');
    using _stage = clock.during('front');
    const diffusion = { ...this.options.diffusion, transformer: job.whole };
    const making = { ...this.options, diffusion };
    const isRehearsal = environment.reads === 'none';
    const wanted = isRehearsal ? this.#planned(job, uses) : this.#wanted(job, uses);
    const streams = await makeStreams(making, wanted, {
      ...{ device, access: images, onTimes, signal },
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
  rows(
    streams: MadeStreams,
  ): Readonly<Record<'training' | 'calibration' | 'validation', LatentRows>> {
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

  #bringing(job: Job<LatentRows>, streams: MadeStreams, environment: SamplerHost): Job<LatentRows> {
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
    { images, hostBytes, onTimes, signal }: SamplerHost,
  ): JobSampler | null {
    const { samples, set, diffusion } = this.options;
    if (!samples) return null;
    const { everySteps, requests } = samples;
    const made = new TrainingSamples({
      ...{ requests, limits: set.limits, decoder: diffusion.vaeDecoder, streams },
      ...{ folder: images && join(images.folder, samplesFolder), hostBytes, onTimes, signal },
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

  /** As `#wanted`, but that of a long training some conditions stand for all. */
  #planned(job: Job<LatentRows>, uses: readonly RowUse[]): Wanted {
    const { set, guidance, draws } = this.options;
    const looked = this.#wanted(job, uses, lookedAtSteps);
    const drawsOf = new Map<number, number>();
    for (const use of ['training', 'refinement'] as const)
      if (uses.includes(use))
        for (const [picture, count] of this.#drawsBehind(job, use, lookedAtSteps))
          drawsOf.set(picture, (drawsOf.get(picture) ?? 0) + count);
    const pictures = new Set([...looked.pictures, ...drawsOf.keys()]);
    const captions = [...pictures].map((picture) => at(set.pictures, picture).caption);
    const more = expectedConditions(looked.conditions, {
      ...{ pictures: set.pictures, drawsOf },
      levelShares: (picture) => draws.levelShares(picture),
      conditionOf: (picture, level) =>
        conditionOf({ ...set, guidance }, { picture, level, seed: 0 }),
    });
    return {
      captions: ascending(new Set([...looked.captions, ...captions])),
      pictures: ascending(pictures),
      conditions: looked.conditions,
      conditionCount: looked.conditions.length + Math.round(more),
    };
  }

  /** How many draws behind so many steps each picture has: pictures take turns. */
  #drawsBehind(
    job: Job<LatentRows>,
    use: 'training' | 'refinement',
    steps: number,
  ): ReadonlyMap<number, number> {
    const plan = job[use];
    if (!plan || plan.batches.length <= steps) return new Map();
    const batches = ownBatches(plan);
    const pictureOf = (row: number): number => drawAt(this.options.draws.training, row).picture;
    const isClass = (picture: number): boolean => at(this.options.set.pictures, picture).isClass;
    const all = [...new Set(rowsFor(job, use).numbers.map(pictureOf))];
    const step = batchesOf(batches, 0).flat().map(pictureOf);
    const perPicture = (its: boolean): number =>
      step.filter((picture) => isClass(picture) === its).length /
      all.filter((picture) => isClass(picture) === its).length;
    const [ofSubject, ofClass] = [perPicture(false), perPicture(true)];
    const left = batches.length - steps;
    return new Map(all.map((each) => [each, left * (isClass(each) ? ofClass : ofSubject)]));
  }

  *#drawsFor(job: Job<LatentRows>, use: RowUse, most = Number.POSITIVE_INFINITY): Generator<Draw> {
    const { draws } = this.options;
    if (use === 'calibration' || use === 'validation') {
      for (const row of rowsFor(job, use).numbers) yield drawAt(draws[use], row);
      return;
    }
    const plan = job[use];
    const batches = plan ? ownBatches(plan) : [];
    for (const rows of microBatches(batches, 0, Math.min(batches.length, most)))
      for (const row of rows) yield drawAt(draws.training, row);
  }
}

/** Steps whose draws a rehearsal looks at one by one. */
const lookedAtSteps = 512;

function drawAt(draws: Draws, number: number): Draw {
  const draw = draws.at(number);
  if (!draw) throw new RangeError(`draw ${number} of ${draws.length}`);
  return draw;
}

function ascending(numbers: ReadonlySet<number>): number[] {
  return [...numbers].sort((a, b) => a - b);
}
