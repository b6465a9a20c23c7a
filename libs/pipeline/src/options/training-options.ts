import { parseRatioRules } from '@emloc/emulator';
import { scheduleKinds } from '@emloc/finetune';

import { assertRegExp } from './checks.js';
import { job, running } from './commands.js';
import {
  choice,
  choiceOrNumber,
  flagged,
  integer,
  number,
  positive,
  text,
  texts,
} from './kinds.js';

/** Of things that a deployment counts in 32 bits, so that sums of them stay exact. */
const mostCounted = 1_000_000;

/** What decides an adapter, besides model and rows. */
export const trainingOptions = Object.freeze({
  /** `PATTERN=ratio` in order, or a bare ratio. */
  ratios: texts({
    default: Object.freeze(['0.5']),
    check: (_name, ratios) => void parseRatioRules(ratios),
    flag: '--ratio <ratio>',
    help: "emulator size: 0.5, or 'PATTERN=0.4' (repeatable, first match wins); 1 is plain LoRA",
    commands: job,
    field: 'ratios',
  }),
  rank: integer({
    default: 8,
    least: 1,
    flag: '--rank <n>',
    help: 'LoRA rank',
    commands: job,
    field: 'rank',
    mostServed: 65_536,
  }),
  /** null: 16; 8 for models that take images. */
  alpha: number({
    default: null,
    range: positive,
    flag: '--alpha <x>',
    help: 'LoRA alpha (default: 16; 8 for models that take images)',
    commands: job,
    field: 'alpha',
    mostServed: Number.MAX_VALUE,
  }),
  useRslora: flagged({
    default: false,
    flag: '--rslora',
    help: 'scale by alpha / sqrt(rank)',
    commands: job,
    field: 'use_rslora',
  }),
  /** Regular expression over whole module paths; null: all linear layers of the blocks. */
  targets: text({
    default: null,
    check: assertRegExp,
    flag: '--targets <pattern>',
    help: 'regular expression over whole module paths (default: all linear layers of the blocks)',
    commands: job,
    field: 'targets',
  }),
  /** null: 2e-4; 4e-5 for models that take images. */
  learningRate: number({
    default: null,
    range: positive,
    flag: '--lr <x>',
    help: 'peak learning rate (default: 2e-4; 4e-5 for models that take images)',
    commands: job,
    field: 'learning_rate',
    mostServed: Number.MAX_VALUE,
  }),
  schedule: choice({
    choices: scheduleKinds,
    default: 'cosine',
    flag: '--schedule <kind>',
    help: 'learning rate: cosine, linear or constant',
    commands: job,
    field: 'schedule',
  }),
  /** Share of the steps. */
  warmupRatio: number({
    default: 0.03,
    range: { expected: 'at least 0 and below 1', holds: (value) => value >= 0 && value < 1 },
    flag: '--warmup-ratio <x>',
    help: 'share of the steps that warm up',
    commands: job,
    field: 'warmup_ratio',
  }),
  weightDecay: number({
    default: 0,
    range: { expected: 'at least 0', holds: (value) => value >= 0 && Number.isFinite(value) },
    flag: '--weight-decay <x>',
    help: 'AdamW weight decay',
    commands: job,
    field: 'weight_decay',
  }),
  /** Infinity: no clipping. */
  maxGradientNorm: number({
    default: 1,
    range: positive,
    flag: '--max-grad-norm <x>',
    help: 'gradient clipping',
    commands: job,
    field: 'max_gradient_norm',
  }),
  /** null: `epochs` decides. */
  steps: integer({
    default: null,
    least: 1,
    excludes: 'epochs',
    flag: '--steps <n>',
    help: 'optimizer steps',
    commands: job,
    field: 'steps',
    mostServed: 'maxSteps',
  }),
  epochs: number({
    default: 1,
    range: positive,
    flag: '--epochs <x>',
    help: 'passes over the training rows',
    commands: job,
    field: 'epochs',
    mostServed: 'maxSteps',
  }),
  /** Rows per micro-batch. */
  batch: integer({
    default: 8,
    least: 1,
    flag: '--batch <n>',
    help: 'rows per micro-batch',
    helpIn: { eval: 'rows per batch' },
    commands: running,
    field: 'batch_rows',
    mostServed: mostCounted,
  }),
  gradientAccumulation: integer({
    default: 1,
    least: 1,
    flag: '--grad-accum <n>',
    help: 'micro-batches per step',
    commands: job,
    field: 'gradient_accumulation',
    mostServed: mostCounted,
  }),
  /** null: 1024, 8192 for models that take images, or the model's positions where it has fewer. */
  maxLength: integer({
    default: null,
    least: 2,
    flag: '--max-length <tokens>',
    help: "longer rows are truncated (default: 1024; 8192 for models that take images; the model's positions where it has fewer)",
    commands: [...running, 'data'],
    field: 'max_length_tokens',
    mostServed: 10 * mostCounted,
  }),
  calibrationRows: integer({
    default: 64,
    least: 1,
    flag: '--calibration <rows>',
    help: 'rows that the emulator is calibrated on',
    commands: job,
    field: 'calibration_rows',
    mostServed: mostCounted,
  }),
  /** `auto` scores the candidates on the validation split; a number is the λ of the correction. */
  correction: choiceOrNumber({
    choices: ['auto', 'none'],
    default: 'auto',
    range: {
      expected: 'auto, none or a positive number',
      holds: (value) => value > 0 && Number.isFinite(value),
    },
    flag: '--correction <choice>',
    help: 'auto, none or a number (lambda)',
    commands: job,
    field: 'correction',
  }),
  /** null: 10 % of the main steps. */
  refineSteps: integer({
    default: null,
    least: 0,
    flag: '--refine-steps <n>',
    help: 'steps on the original after the correction (default: 10 % of the steps)',
    commands: job,
    field: 'refine_steps',
    mostServed: 'maxSteps',
  }),
  /** null: half of `learningRate`. */
  refineLearningRate: number({
    default: null,
    range: positive,
    flag: '--refine-lr <x>',
    help: 'their peak learning rate (default: half of --lr)',
    commands: job,
    field: 'refine_learning_rate',
    mostServed: Number.MAX_VALUE,
  }),
  seed: integer({
    default: 0,
    least: 0,
    flag: '--seed <n>',
    help: 'decides everything random',
    commands: [...job, 'generate'],
    field: 'seed',
  }),
});
