import { parseRatioRules } from '@emloc/emulator';
import { scheduleKinds, type ScheduleKind } from '@emloc/finetune';

import { PipelineError } from './errors.js';

/** `auto` scores the candidates on the validation split; a number is the λ of the correction. */
export type CorrectionChoice = 'auto' | 'none' | number;

/** A whole fine-tuning job. Sizes are bytes, lengths tokens, paths as the process sees them. */
export interface TuneOptions {
  readonly model: string;
  readonly data: string;
  /** null: held out of `data`. */
  readonly validation: string | null;
  readonly out: string;
  /** Device memory budget; null: what inference would take. */
  readonly vramBytes: number | null;
  /**
   * Host memory for weights that are not on the device; Infinity: half of what is free when a stage
   * begins.
   */
  readonly hostBytes: number;
  /** `PATTERN=ratio` in order, or a bare ratio. */
  readonly ratios: readonly string[];
  readonly rank: number;
  readonly alpha: number;
  readonly useRslora: boolean;
  /** Regular expression over whole module paths; null: all linear layers of the blocks. */
  readonly targets: string | null;
  readonly learningRate: number;
  readonly schedule: ScheduleKind;
  readonly warmupRatio: number;
  readonly weightDecay: number;
  /** Infinity: no clipping. */
  readonly maxGradientNorm: number;
  /** null: `epochs` decides. */
  readonly steps: number | null;
  readonly epochs: number;
  /** Rows per micro-batch. */
  readonly batch: number;
  readonly gradientAccumulation: number;
  readonly maxLength: number;
  readonly calibrationRows: number;
  readonly correction: CorrectionChoice;
  /** null: 10 % of the main steps. */
  readonly refineSteps: number | null;
  /** null: half of `learningRate`. */
  readonly refineLearningRate: number | null;
  readonly prefetch: boolean;
  readonly seed: number;
}

export const defaultTuneOptions = Object.freeze({
  validation: null,
  vramBytes: null,
  hostBytes: Number.POSITIVE_INFINITY,
  ratios: Object.freeze(['0.5']),
  rank: 8,
  alpha: 16,
  useRslora: false,
  targets: null,
  learningRate: 2e-4,
  schedule: 'cosine',
  warmupRatio: 0.03,
  weightDecay: 0,
  maxGradientNorm: 1,
  steps: null,
  epochs: 1,
  batch: 8,
  gradientAccumulation: 1,
  maxLength: 1024,
  calibrationRows: 64,
  correction: 'auto',
  refineSteps: null,
  refineLearningRate: null,
  prefetch: true,
  seed: 0,
} satisfies Omit<TuneOptions, 'model' | 'data' | 'out'>);

/** A job that can be resumed keeps its state after so many optimizer steps. */
export const defaultCheckpointSteps = 50;

/**
 * Fills in the defaults and checks every value against its range. The result is frozen.
 * @throws PipelineError
 */
export function resolveTuneOptions(
  options: Partial<TuneOptions> & Pick<TuneOptions, 'model' | 'data' | 'out'>,
): TuneOptions {
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  );
  const resolved = { ...defaultTuneOptions, ...given } as TuneOptions;
  const integers: readonly (readonly [keyof TuneOptions, number])[] = [
    ['rank', 1],
    ['batch', 1],
    ['gradientAccumulation', 1],
    ['maxLength', 2],
    ['calibrationRows', 1],
    ['seed', 0],
    ['steps', 1],
    ['refineSteps', 0],
  ];
  for (const [name, least] of integers) assertInteger(name, resolved[name], least);
  const positive: readonly (keyof TuneOptions)[] = [
    'alpha',
    'learningRate',
    'maxGradientNorm',
    'epochs',
    'vramBytes',
    'hostBytes',
    'refineLearningRate',
  ];
  for (const name of positive) assertNumber(name, resolved[name], (value) => value > 0, 'positive');
  assertNumber(
    'weightDecay',
    resolved.weightDecay,
    (value) => value >= 0 && Number.isFinite(value),
    'at least 0',
  );
  assertNumber(
    'warmupRatio',
    resolved.warmupRatio,
    (value) => value >= 0 && value < 1,
    'at least 0 and below 1',
  );
  if (!scheduleKinds.includes(resolved.schedule))
    throw invalid('schedule', resolved.schedule, scheduleKinds.join(', '));
  if (typeof resolved.correction === 'number')
    assertNumber(
      'correction',
      resolved.correction,
      (value) => value > 0 && Number.isFinite(value),
      'auto, none or a positive number',
    );
  assertPattern(resolved.targets);
  parseRatioRules(resolved.ratios);
  return Object.freeze({ ...resolved, ratios: Object.freeze([...resolved.ratios]) });
}

/** @throws PipelineError PIPELINE_INVALID_OPTION naming the option */
export function assertInteger(name: string, value: unknown, least: number): void {
  if (
    value === null ||
    (typeof value === 'number' && Number.isSafeInteger(value) && value >= least)
  )
    return;
  throw invalid(name, value, `a whole number of at least ${least}`);
}

function assertNumber(
  name: string,
  value: unknown,
  isValid: (value: number) => boolean,
  expected: string,
): void {
  if (value === null || (typeof value === 'number' && isValid(value))) return;
  throw invalid(name, value, expected);
}

function assertPattern(targets: string | null): void {
  if (targets === null) return;
  try {
    new RegExp(targets);
  } catch (cause) {
    throw new PipelineError(
      'PIPELINE_INVALID_OPTION',
      `option targets: ${JSON.stringify(targets)} is no regular expression`,
      { cause },
    );
  }
}

function invalid(name: string, value: unknown, expected: string): PipelineError {
  return new PipelineError(
    'PIPELINE_INVALID_OPTION',
    `option ${name}: ${JSON.stringify(value)} given, ${expected} expected`,
  );
}
