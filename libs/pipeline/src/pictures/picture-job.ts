import { readPictures, type Pictures } from '@emloc/dataset';
import { adaptedLinears, frontLength, type StepBatches } from '@emloc/finetune';
import type { DiffusionModel } from '@emloc/models';
import {
  assertNoiseScheme,
  fixedDraws,
  heldOutPictures,
  numbersOf,
  pictureLevelShares,
  trainingDraws,
  type DrawLosses,
  type Draws,
  type LatentRows,
  type NoiseScheme,
} from '@emloc/tasks';

import { anchoredTraining } from '../job/anchors.js';
import { emulatedLinears, levelEmulators } from '../job/emulated-linear.js';
import type { GivenStart } from '../job/given-start.js';
import {
  behindFront,
  inOrder,
  jobId,
  type Job,
  type JobOptions,
  type PrepareHost,
  type TrainingPlan,
} from '../job/job.js';
import { levelPlans, type StepsWanted } from '../job/level-plans.js';
import { assertRank } from '../options/checks.js';
import { plannedStreams, type Making } from './made-streams.js';
import { openPromptReader, pictureSet, type PictureSet, type PromptReader } from './picture-set.js';
import { PictureTask, type JobDraws, type PictureSamples } from './picture-task.js';
import { sampleRequests } from './training-samples.js';

/** A job on pictures: the model learns to make such. */
export async function pictureJob(
  options: JobOptions,
  { diffusion, start }: { readonly diffusion: DiffusionModel; readonly start: GivenStart | null },
  host: PrepareHost,
): Promise<Job<LatentRows>> {
  const { notices, transformer } = diffusion;
  const whole = { ...transformer, notices };
  const adapted = adaptedLinears(whole.layout, options.targets);
  assertRank(options.rank, adapted.values());
  const touched = new Set([
    ...adapted.keys(),
    ...emulatedLinears(whole, options).map(({ path }) => path),
  ]);
  const frontBlocks = frontLength(whole.layout, (path) => touched.has(path));
  const model = behindFront(whole, frontBlocks);
  const emulated = emulatedLinears(model, options);
  const { train, validation, heldOut, set, samples } = await loadPictures(options, diffusion, host);
  const making: Making = { diffusion, set, frontBlocks };
  const guidance = set.limits.hasGuidance ? options.trainGuidance : null;
  const { draws, training, refinement } = drawsOf(set, options, heldOut);
  const losses = lossesOf(options);
  const task = new PictureTask({ ...making, draws, guidance, losses, samples });
  const rows = task.rows(plannedStreams(making, 'float32'));
  return {
    options,
    whole,
    frontBlocks,
    model,
    task,
    sampler: null,
    trainRows: rows.training,
    calibration: inOrder(rows.calibration, options.batch),
    validation: inOrder(rows.validation, options.batch),
    longestRow: 1,
    training: anchoredTraining(training, options, emulated.length > 0),
    start,
    refinement: emulated.length > 0 ? refinement : null,
    emulated,
    levels: emulated.length > 0 ? levelEmulators(emulated, options) : null,
    report: {
      kind: 'pictures',
      pictures: train.report,
      captionsCut: set.captions.filter(({ isCut }) => isCut).length,
      heldOut: heldOut.length,
      datasetSha256: train.sha256,
    },
    variant: null,
    id: await jobId(options, whole, {
      datasets: [train.sha256, validation?.sha256 ?? '', ...(await fingerprints(diffusion))],
      start,
    }),
    close: () => diffusion.close(),
    [Symbol.asyncDispose]: () => diffusion.close(),
  };
}

function fingerprints({ clip, t5, vaeEncoder }: DiffusionModel): Promise<string[]> {
  return Promise.all([clip, t5, vaeEncoder].map(({ checkpoint }) => checkpoint.fingerprint()));
}

interface LoadedPictures {
  readonly train: Pictures;
  /** null: pictures are held out of the data, or none. */
  readonly validation: Pictures | null;
  readonly set: PictureSet;
  /** Numbers of the pictures that are scored on and not trained on. */
  readonly heldOut: readonly number[];
  readonly samples: PictureSamples | null;
}

async function loadPictures(
  options: JobOptions,
  diffusion: DiffusionModel,
  { restrictImages = false, signal }: PrepareHost,
): Promise<LoadedPictures> {
  const { data, validation: held, classData, seed } = options;
  const { resolution, crop, flip, buckets } = options;
  const sizes = { resolution, crop, flip, buckets, exifOrientation: true, seed };
  const prompt = options.instancePrompt;
  const read = (path: string, classes: string | null): Promise<Pictures> =>
    readPictures(
      {
        ...sizes,
        instance: { path, prompt },
        classes: classes === null ? null : { path: classes, prompt: options.classPrompt },
        restrictToRoot: restrictImages,
      },
      signal,
    );
  const train = await read(data, classData);
  const validation = held === null ? null : await read(held, null);
  const reader = await openPromptReader(diffusion);
  const own = pictureSet([...train.rows, ...(validation?.rows ?? [])], reader);
  const count = train.rows.length;
  const heldOut = validation
    ? validation.rows.map((_, index) => count + index)
    : heldOutPictures(own.pictures, seed);
  return { train, validation, heldOut, ...withSamples(own, reader, options) };
}

/** The captions of samples are behind those of the pictures. */
function withSamples(
  own: PictureSet,
  reader: PromptReader,
  {
    samplePrompts: prompts,
    sampleEvery,
    sampleInferenceSteps: steps,
    resolution,
    seed,
  }: JobOptions,
): Pick<LoadedPictures, 'set' | 'samples'> {
  if (prompts.length === 0) return { set: own, samples: null };
  const size = { width: resolution, height: resolution };
  const { set, ...samples } = sampleRequests(own, reader, { prompts, size, steps, seed });
  return { set, samples: { ...samples, everySteps: sampleEvery } };
}

/** Draws that a candidate is scored on. */
const validationDraws = 32;

interface Planned {
  readonly draws: JobDraws;
  readonly training: TrainingPlan;
  readonly refinement: TrainingPlan | null;
}

function drawsOf(set: PictureSet, options: JobOptions, heldOut: readonly number[]): Planned {
  const { pictures, limits } = set;
  const { seed } = options;
  const scheme = schemeOf(options);
  assertNoiseScheme(scheme);
  const inputs = { pictures, seed, scheme, schedule: limits.schedule, patch: limits.patch };
  const trained = numbersOf(pictures, { isClass: false }).filter(
    (number) => !heldOut.includes(number),
  );
  let draws: Draws = { length: 0, at: () => undefined };
  /** Batches of draws that stand behind all that were made before. */
  const run = ({ steps, batch, seed: runSeed }: StepsWanted): StepBatches => {
    const batchRows = batch ?? options.batch;
    const accumulation = options.gradientAccumulation;
    const more = trainingDraws({
      ...inputs,
      ...{ trained, steps, seed: runSeed, batchRows, accumulation },
    });
    const batches = behind(more, draws);
    draws = inTurn(draws, more.draws);
    return batches;
  };
  const { training, refinement } =
    options.levels === null ? plansOf(options, run) : levelPlans(options.levels, options, run);
  const scored = heldOut.length > 0 ? heldOut : trained;
  return {
    draws: {
      training: draws,
      calibration: fixedDraws(
        { ...inputs, of: trained, count: options.calibrationRows },
        'calibration',
      ),
      levelShares: (picture) => pictureLevelShares(inputs, picture),
      validation: fixedDraws(
        { ...inputs, scheme: { kind: 'none' }, of: scored, count: validationDraws },
        'validation',
      ),
    },
    training,
    refinement,
  };
}

/** Training, then as for texts cosine after 3 % of warm-up, at half of the rate. */
function plansOf(
  options: JobOptions,
  run: (wanted: StepsWanted) => StepBatches,
): Pick<Planned, 'training' | 'refinement'> {
  const { seed, learningRate, schedule: kind, warmupRatio } = options;
  const steps = options.steps ?? 0;
  const refineSteps = options.refineSteps ?? Math.ceil(steps / 10);
  const refineRate = options.refineLearningRate ?? learningRate / 2;
  const training = {
    batches: run({ steps, batch: null, seed }),
    schedule: { kind, learningRate, steps, warmupRatio },
  };
  const batches = run({ steps: refineSteps, batch: null, seed: seed + 1 });
  const schedule = {
    ...{ kind: 'cosine' as const, learningRate: refineRate },
    ...{ steps: refineSteps, warmupRatio: 0.03 },
  };
  return { training, refinement: refineSteps === 0 ? null : { batches, schedule } };
}

function inTurn(first: Draws, second: Draws): Draws {
  return {
    length: first.length + second.length,
    at: (number) => (number < first.length ? first.at(number) : second.at(number - first.length)),
  };
}

/** Batches of draws that stand behind others. */
function behind(
  { batches }: { readonly batches: StepBatches },
  before: Pick<Draws, 'length'>,
): StepBatches {
  const { length } = before;
  return {
    ...batches,
    at: (step) => batches.at(step)?.map((part) => part.map((row) => row + length)),
  };
}

function schemeOf({
  noiseScheme: kind,
  logitMean: mean,
  logitStd: std,
  modeScale,
  noiseShift: shift,
}: JobOptions): NoiseScheme {
  switch (kind) {
    case 'none':
      return { kind };
    case 'logit-normal':
      return { kind, mean, std };
    case 'mode':
      return { kind, scale: modeScale };
    case 'sigmoid':
    case 'flux-shift':
      return { kind, scale: std };
    case 'shift':
      return { kind, scale: std, shift };
  }
}

function lossesOf({ lossWeighting: weighting, priorWeight: classWeight }: JobOptions): DrawLosses {
  return { weighting, classWeight };
}
