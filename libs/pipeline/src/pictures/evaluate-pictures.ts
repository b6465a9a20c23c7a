import { at } from '@emloc/checked';
import type { PictureReport as FolderReport, Pictures } from '@emloc/dataset';
import { Device, MemoryBudget, type DeviceProfile } from '@emloc/device';
import type { ImageReader } from '@emloc/images';
import {
  conditionOf,
  drawRows,
  evaluateDraws,
  fixedDraws,
  plainLosses,
  type Draw,
  type DrawBatches,
  type DrawEvaluation,
} from '@emloc/tasks';

import { inOrder } from '../job/job.js';
import { assertOptionsOf, batchOf } from '../options/modality.js';
import { defaultTuneOptions, type EvaluateOptions } from '../options/resolve.js';
import { heaviestBatches } from '../plan/heaviest-batches.js';
import type { PictureHost } from './generate-picture.js';
import {
  makeStreams,
  plannedStreams,
  type MadeStreams,
  type Making,
  type Wanted,
} from './made-streams.js';
import { rehearseTransformer, withTransformer } from './paged-transformer.js';
import {
  pictureMemory,
  rehearsedBytes,
  transformerNeeds,
  type PictureMemory,
  type PictureNeeds,
} from './picture-memory.js';
import { openPictureModel, type PictureModel } from './picture-model.js';
import { openPromptReader, pictureSet } from './picture-set.js';
import { picturesOf } from './preview-pictures.js';
import { recordedPictures } from './recorded-pictures.js';
import { temporaryStreams } from './temporary-streams.js';

/** Scores of a model on pictures, as `eval` prints them. */
export interface PicturesEvaluateReport extends DrawEvaluation {
  readonly pictures: number;
  /** Guidance scale that the model was told; null: it takes none. */
  readonly guidance: number | null;
  readonly budgetBytes: number;
  readonly peakDeviceBytes: number;
  readonly seconds: number;
}

export interface PicturesEvaluateHost extends PictureHost {
  /** Hears of the pictures before the device is taken. */
  readonly onPictures?: (report: FolderReport) => void;
  /** Where images are decoded: by default in this thread, which is busy meanwhile. */
  readonly openImages?: () => ImageReader;
}

interface Scored {
  readonly options: EvaluateOptions;
  readonly opened: PictureModel;
  readonly making: Making;
  readonly draws: readonly Draw[];
  readonly guidance: number | null;
}

/**
 * Scores a model, with an adapter or without, on fixed draws of image, noise level and noise from a
 * folder of pictures, within a budget.
 * @throws PipelineError PIPELINE_INVALID_OPTION, PIPELINE_DOES_NOT_FIT; those of pictures, models,
 * adapters, tokenizers and devices
 */
export async function evaluatePictures(
  options: EvaluateOptions,
  host: PicturesEvaluateHost,
): Promise<PicturesEvaluateReport> {
  assertOptionsOf('eval', options, 'pictures');
  const started = performance.now();
  await using opened = await openPictureModel(options, host);
  const recorded = await recordedPictures(options.adapter);
  const { signal } = host;
  const pictures = await picturesOf(options, { recorded: recorded.resolution, signal });
  host.onPictures?.(pictures.report);
  const scored = await scoredOn(pictures, { options, opened, guidance: recorded.guidance });
  const { profile } = host.target;
  const memory = pictureMemory(await needsOf(scored, profile), options.vramBytes);
  const { evaluation, peakDeviceBytes } = await evaluate(scored, memory, host);
  return {
    ...evaluation,
    pictures: pictures.rows.length,
    guidance: scored.guidance,
    budgetBytes: memory.budgetBytes,
    peakDeviceBytes,
    seconds: (performance.now() - started) / 1000,
  };
}

/** @param given.guidance that the adapter was trained with; null: none is known */
async function scoredOn(
  { rows }: Pictures,
  { options, opened, guidance }: Pick<Scored, 'options' | 'opened' | 'guidance'>,
): Promise<Scored> {
  const { diffusion, frontBlocks } = opened;
  const set = pictureSet(rows, await openPromptReader(diffusion));
  const { schedule, patch, hasGuidance } = set.limits;
  const draws = fixedDraws(
    {
      ...{ pictures: set.pictures, schedule, patch, seed: options.seed },
      ...{ scheme: { kind: 'none' }, of: [...rows.keys()], count: options.draws },
    },
    'validation',
  );
  return {
    ...{ options, opened, draws, making: { diffusion, set, frontBlocks } },
    guidance: hasGuidance ? (guidance ?? defaultTuneOptions.trainGuidance) : null,
  };
}

function wantedBy({ making: { set }, draws, guidance }: Scored): Wanted {
  const conditions = draws.map((draw) => conditionOf({ ...set, guidance }, draw));
  return {
    captions: unique(conditions.map(({ caption }) => caption)),
    pictures: unique(draws.map(({ picture }) => picture)),
    conditions,
  };
}

function batchesOf(
  { options, opened, making: { set }, draws, guidance }: Scored,
  { captions: prompts, moments, conditioning }: MadeStreams,
): DrawBatches {
  const rows = drawRows({
    ...{ ...set, draws, guidance, losses: plainLosses, prompts, moments, conditioning },
  });
  return inOrder(rows, batchOf(options.batch, opened.model.layout));
}

async function needsOf(scored: Scored, profile: DeviceProfile): Promise<PictureNeeds> {
  const { opened, making } = scored;
  const wanted = wantedBy(scored);
  const some = {
    captions: wanted.captions.slice(0, 1),
    pictures: ofEachSize(making, wanted.pictures),
    conditions: wanted.conditions.slice(0, 1),
  };
  const streams = plannedStreams(making, profile.computeDType);
  const batches = heaviestBatches(batchesOf(scored, streams));
  return {
    what: 'evaluation',
    encoderBytes: await rehearsedBytes(profile, (rehearsal) =>
      makeStreams(making, some, { ...rehearsal, access: null }),
    ),
    transformer: await transformerNeeds(opened.model.source, profile, (rehearsal) =>
      rehearseTransformer(opened, rehearsal, (model, adapter) =>
        evaluateDraws({ model, batches, variants: [adapter] }),
      ),
    ),
    decoderBytes: 0,
  };
}

/** One of the pictures for each size that they have. */
function ofEachSize({ set }: Making, pictures: readonly number[]): readonly number[] {
  const sizes = pictures.map((number): [string, number] => {
    const { width, height } = at(set.pictures, number).size;
    return [`${width}x${height}`, number];
  });
  return [...new Map(sizes).values()];
}

async function evaluate(
  scored: Scored,
  { budgetBytes, pagerBytes }: PictureMemory,
  host: PicturesEvaluateHost,
): Promise<{ readonly evaluation: DrawEvaluation; readonly peakDeviceBytes: number }> {
  const { opened, making, options } = scored;
  const { hostBytes, prefetch } = options;
  const { target, onProgress, signal } = host;
  const budget = new MemoryBudget(budgetBytes);
  await using device = new Device(await target.open(budgetBytes), budget);
  const encoding = { ...host, device, hostBytes, prefetch };
  await using streams = await temporaryStreams(making, wantedBy(scored), encoding);
  const paging = { ...encoding, pagerBytes };
  const evaluations = await withTransformer(opened, paging, (model, adapter) =>
    evaluateDraws({
      ...{ model, batches: batchesOf(scored, streams), variants: [adapter], signal },
      onProgress: (done, total) => onProgress?.('evaluating', done, total),
    }),
  );
  return { evaluation: at(evaluations, 0), peakDeviceBytes: budget.peakBytes };
}

function unique(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}
