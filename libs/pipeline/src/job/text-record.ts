import type { TextSource } from '@emloc/dataset';
import { textLimits, type ImageLimits, type Model, type ModelLayout } from '@emloc/models';

import { PipelineError } from '../errors.js';
import { utcDay, type TuneOptions } from '../options/resolve.js';
import { readRecord } from './record.js';

/** Options that decide how rows become text. */
type TextChoices = Pick<
  TuneOptions,
  'date' | 'chatTemplate' | 'templateArgs' | 'maxTiles' | 'exifOrientation'
>;

/** Options that say where images are. */
type ImagePlaces = Pick<TuneOptions, 'imageRoot' | 'remoteImages'>;

/** What `emloc.json` remembers of them; all of it decides what the model was trained to see. */
export interface TextRecord {
  /** As `YYYY-MM-DD`. */
  readonly date: string;
  /** Source of the template that stood for the model's own; null: the model's own. */
  readonly chatTemplate: string | null;
  /** A JSON object, as it was given; null: none. */
  readonly templateArguments: string | null;
  /** How images became tiles; absent for models of text alone. */
  readonly images?: { readonly maxTiles: number; readonly exifOrientation: boolean };
}

/** What images are cut into where nothing is said, as in the published training scripts. */
const usualMaxTiles = 6;

export function textRecordOf(
  options: TextChoices,
  { images }: Pick<ModelLayout, 'images'>,
): TextRecord {
  const { date, chatTemplate, templateArgs, maxTiles, exifOrientation } = options;
  return {
    date: date ?? utcDay(new Date()),
    chatTemplate,
    templateArguments: templateArgs,
    ...(images && { images: { maxTiles: maxTiles ?? mostTiles(images), exifOrientation } }),
  };
}

/** A model that was made for whole pictures gets whole pictures. */
function mostTiles({ maxTiles }: ImageLimits): number {
  return Math.min(usualMaxTiles, maxTiles);
}

/**
 * How the rows of a job or an evaluation become text: those of today, unless it has a date.
 * @param model whose vocabulary the tokens must be in
 * @param host.restrictImages whether the rows are somebody else's, so that their images must lie
 * beside them
 */
export function textSourceOf(
  options: TextChoices & ImagePlaces & Pick<TuneOptions, 'model'>,
  { layout }: Pick<Model, 'layout'>,
  { restrictImages = false }: { readonly restrictImages?: boolean } = {},
): TextSource {
  const { images, ...record } = textRecordOf(options, layout);
  return {
    folder: options.model,
    vocabularySize: textLimits(layout).vocabularySize,
    ...record,
    images: images &&
      layout.images && {
        ...layout.images,
        ...images,
        minTiles: Math.min(layout.images.minTiles, images.maxTiles),
        imageRoot: options.imageRoot,
        restrictToRoot: restrictImages,
        allowRemoteImages: options.remoteImages,
      },
  };
}

/**
 * Options with what their adapter remembers where they say nothing.
 * @throws PipelineError PIPELINE_INVALID_OPTION where they say something else
 */
export async function withRecordedText<O extends TextChoices & { readonly adapter: string | null }>(
  options: O,
): Promise<O> {
  const recorded = options.adapter === null ? null : await recordedText(options.adapter);
  if (!recorded) return options;
  const choose = <T>(name: string, given: T | null, kept: T | null): T | null => {
    if (given !== null && given !== kept)
      throw new PipelineError(
        'PIPELINE_INVALID_OPTION',
        `option ${name}: the adapter ${options.adapter} was trained with another one (see its emloc.json)`,
      );
    return kept;
  };
  return {
    ...options,
    date: choose('date', options.date, recorded.date),
    chatTemplate: choose('chatTemplate', options.chatTemplate, recorded.chatTemplate),
    templateArgs: choose(
      'templateArgs',
      sameArguments(options.templateArgs, recorded.templateArguments)
        ? recorded.templateArguments
        : options.templateArgs,
      recorded.templateArguments,
    ),
    ...(recorded.images && {
      maxTiles: choose('maxTiles', options.maxTiles, recorded.images.maxTiles),
      exifOrientation:
        choose(
          'exifOrientation',
          options.exifOrientation || null,
          recorded.images.exifOrientation,
        ) ?? false,
    }),
  };
}

/**
 * Null for an adapter that does not say, as those of other programs.
 * @throws CheckpointError where it has a record that cannot be read
 */
export async function recordedText(adapter: string): Promise<TextRecord | null> {
  const record = await readRecord(adapter);
  if (!record) return null;
  const { text } = record as { readonly text?: Partial<TextRecord> | null };
  if (typeof text?.date !== 'string') return null;
  const { date, chatTemplate, templateArguments, images } = text;
  return {
    ...(typeof images?.maxTiles === 'number' && {
      images: { maxTiles: images.maxTiles, exifOrientation: images.exifOrientation === true },
    }),
    date,
    chatTemplate: typeof chatTemplate === 'string' ? chatTemplate : null,
    templateArguments: typeof templateArguments === 'string' ? templateArguments : null,
  };
}

/** Whether two JSON objects differ in white space and the order of keys only. */
function sameArguments(a: string | null, b: string | null): boolean {
  return a !== null && b !== null && canonical(a) === canonical(b);
}

function canonical(json: string): string {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .sort(([x], [y]) => (x < y ? -1 : 1))
        .map(([key, each]) => [key, sorted(each)]),
    );
  };
  return JSON.stringify(sorted(JSON.parse(json)));
}
