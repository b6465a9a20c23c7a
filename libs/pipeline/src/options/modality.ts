import { textLimits, type ModelLayout } from '@emloc/models';

import { PipelineError } from '../errors.js';
import type { ModelKind, OptionCommand } from './kinds.js';
import { maxLengthOf } from './max-length.js';
import { isPlain, isUndecided } from './method.js';
import type { TuneOptions } from './resolve.js';
import { optionsFor, type OptionsOf } from './table.js';

/** Options whose defaults are those of a model's kind, and what they are then. */
type Defaulted = Pick<
  TuneOptions,
  | 'rank'
  | 'alpha'
  | 'learningRate'
  | 'schedule'
  | 'warmupRatio'
  | 'weightDecay'
  | 'steps'
  | 'batch'
  | 'gradientAccumulation'
  | 'maxLength'
  | 'resolution'
>;

export type ModalityOptions = keyof Defaulted;

/** Options that every job has, or those of its kind only. */
type Always = Exclude<ModalityOptions, 'steps'>;

/** Options of a job where all that has a value has it. */
export type ResolvedModality = {
  readonly [K in ModalityOptions]: K extends Always ? NonNullable<Defaulted[K]> : Defaulted[K];
};

const text: ResolvedModality = Object.freeze({
  rank: 8,
  alpha: 16,
  learningRate: 2e-4,
  schedule: 'cosine',
  warmupRatio: 0.03,
  weightDecay: 0,
  steps: null,
  batch: 8,
  gradientAccumulation: 1,
  /** Tokens that rows are cut to. */
  maxLength: 1024,
  resolution: 0,
});

/** Those of the paper's jobs on InternVL2.5. */
const images: ResolvedModality = Object.freeze({
  ...text,
  alpha: 8,
  learningRate: 4e-5,
  maxLength: 8192,
});

/** Those of diffusers' train_dreambooth_lora_flux, which the paper's job on FLUX.1-dev has, too. */
const pictures: ResolvedModality = Object.freeze({
  rank: 4,
  alpha: 4,
  learningRate: 1e-4,
  schedule: 'constant',
  warmupRatio: 0,
  weightDecay: 1e-4,
  steps: 500,
  batch: 1,
  gradientAccumulation: 4,
  maxLength: 0,
  resolution: 512,
});

/** Of the one emulator of a job without levels. */
const defaultRatios: readonly string[] = Object.freeze(['0.5']);

/** What decides the size of a job's emulators and its steps. */
type Scheduled = Pick<
  TuneOptions,
  'method' | 'ratios' | 'levels' | 'steps' | 'epochs' | 'refineSteps'
>;

/** Prodigy multiplies it by what it finds. */
const prodigyLearningRate = 1;

/** What a model's kind is known by. */
type Limits = Pick<ModelLayout, 'text' | 'images' | 'diffusion'>;

/** Options of a job with the defaults of its kind of model. @throws PipelineError */
export function withModality<
  O extends Pick<TuneOptions, ModalityOptions | 'optimizer'> & Scheduled,
>(options: O, layout: Limits): Omit<O, ModalityOptions> & ResolvedModality {
  const defaults = defaultsOf(layout);
  const names = Object.keys(defaults) as ModalityOptions[];
  const values = Object.fromEntries(
    names.map((name) => [name, options[name] ?? defaultOf(name)]),
  ) as ResolvedModality;
  const { maxLength } = options;
  return {
    ...options,
    ...values,
    ...scheduled(options, values.steps),
    ...(layout.text && {
      maxLength: maxLengthOf(maxLength, layout.text, defaults.maxLength),
    }),
  };

  function defaultOf(name: ModalityOptions): unknown {
    if (name === 'steps' && options.levels !== null) return null;
    if (name === 'learningRate' && options.optimizer === 'prodigy') return prodigyLearningRate;
    return defaults[name];
  }
}

/** One emulator at 0.5 and one epoch, unless something else says of what and how long. */
function scheduled(options: Scheduled, steps: number | null): Pick<Scheduled, 'ratios' | 'epochs'> {
  const { ratios, levels, epochs } = options;
  const hasOne = levels === null && !isPlain(options) && !isUndecided(options);
  return {
    ratios: ratios.length > 0 || !hasOne ? ratios : defaultRatios,
    epochs: epochs ?? (levels === null && steps === null ? 1 : null),
  };
}

/** Rows of a batch where nothing is learnt. */
export function batchOf(given: number | null, layout: Limits): number {
  return given ?? defaultsOf(layout).batch;
}

/** Pixels of the side that pictures are resized to. @param recorded of an adapter; null: none */
export function resolutionOf(given: number | null, recorded: number | null = null): number {
  return given ?? recorded ?? pictures.resolution;
}

/** Tokens that rows are cut to where they are only looked at or scored: what the model can read. */
export function readableLength(given: number | null, layout: Limits): number {
  const { maxPositions } = textLimits(layout);
  const most = given === null ? null : Math.min(given, maxPositions);
  return maxLengthOf(most, textLimits(layout), defaultsOf(layout).maxLength);
}

/**
 * Refuses options that mean nothing to a kind of model.
 * @throws PipelineError PIPELINE_INVALID_OPTION
 */
export function assertOptionsOf<C extends OptionCommand>(
  command: C,
  options: OptionsOf<C>,
  kind: ModelKind,
): void {
  const values: Readonly<Record<string, unknown>> = options;
  for (const { name, of, default: usual } of optionsFor(command)) {
    const value = values[name];
    const isUsual = value === usual || (Array.isArray(value) && value.length === 0);
    if (of === undefined || of === kind || isUsual) continue;
    const kinds = { text: 'writes text', pictures: 'makes pictures' };
    throw new PipelineError(
      'PIPELINE_INVALID_OPTION',
      `option ${name}: this model ${kinds[kind]}; the option is for one that ${kinds[of]}`,
    );
  }
}

function defaultsOf({ images: limits, diffusion }: Limits): ResolvedModality {
  if (diffusion) return pictures;
  return limits ? images : text;
}
