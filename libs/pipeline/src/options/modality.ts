import { textLimits, type ModelLayout } from '@emloc/models';

import { maxLengthOf } from './max-length.js';
import type { TuneOptions } from './resolve.js';

/** What holds where nothing is said, for a kind of model. */
interface ModalityDefaults {
  /** Tokens that rows are cut to. */
  readonly maxLength: number;
  readonly alpha: number;
  readonly learningRate: number;
}

const text: ModalityDefaults = Object.freeze({ maxLength: 1024, alpha: 16, learningRate: 2e-4 });

/** Those of the paper's jobs on InternVL2.5. */
const images: ModalityDefaults = Object.freeze({ maxLength: 8192, alpha: 8, learningRate: 4e-5 });

type Limits = Pick<ModelLayout, 'text' | 'images'>;

/** Options whose defaults are those of a model's kind. */
export type ModalityOptions = keyof ModalityDefaults;

/** Options of a job with the defaults of its kind of model. @throws PipelineError */
export function withModality<O extends Pick<TuneOptions, ModalityOptions>>(
  options: O,
  layout: Limits,
): Omit<O, ModalityOptions> & ModalityDefaults {
  const defaults = defaultsOf(layout);
  return {
    ...options,
    maxLength: maxLengthOf(options.maxLength, textLimits(layout), defaults.maxLength),
    alpha: options.alpha ?? defaults.alpha,
    learningRate: options.learningRate ?? defaults.learningRate,
  };
}

/** Tokens that rows are cut to where they are only looked at or scored: what the model can read. */
export function readableLength(given: number | null, layout: Limits): number {
  const { maxPositions } = textLimits(layout);
  const most = given === null ? null : Math.min(given, maxPositions);
  return maxLengthOf(most, textLimits(layout), defaultsOf(layout).maxLength);
}

function defaultsOf({ images: limits }: Limits): ModalityDefaults {
  return limits ? images : text;
}
