import { quantizedFormats } from '@emloc/device';
import { factorsChoices, parseRatioRules } from '@emloc/emulator';
import { scheduleKinds } from '@emloc/finetune';

import { assertRegExp } from './checks.js';
import { job, modelled, running } from './commands.js';
import {
  choice,
  choiceOrNumber,
  flagged,
  integer,
  number,
  positive,
  positiveFinite,
  positiveUpTo,
  text,
  texts,
} from './kinds.js';
import { parseLevels, stepsOf } from './levels.js';
import { mostCounted, mostSteps } from './limits.js';
import { methods } from './method.js';

/** Beyond it no optimizer learns anything. */
const learningRates = positiveUpTo(1_000_000);

/** What decides an adapter, besides model and rows. */
export const trainingOptions = Object.freeze({
  /** null: what ratios or levels say, or one emulator. */
  method: choice({
    choices: ['auto', ...methods],
    default: null,
    flag: '--method <name>',
    help: 'what is trained on: emulator (alone: levels that a plan decides), paged or resident (plain LoRA on the original, with its blocks streamed or all on the device), or auto: the fastest to equal quality (default: what --ratio or --levels say)',
    commands: job,
    field: 'method',
  }),
  /** `PATTERN=ratio` in order, or a bare ratio; empty: 0.5 where a job has one emulator. */
  ratios: texts({
    default: Object.freeze([]),
    check: (_name, ratios) => void parseRatioRules(ratios),
    flag: '--ratio <ratio>',
    help: "emulator size: 0.5, or 'PATTERN=0.4' (repeatable, first match wins); 1 is plain LoRA (default: 0.5)",
    commands: job,
    field: 'ratios',
  }),
  /** null: one emulator, at `ratios`. See parseLevels. */
  levels: text({
    default: null,
    check: (name, value) => void parseLevels(name, value),
    flag: '--levels <levels>',
    help: 'training from coarse to fine, as RATIO:STEPS of each level: 0.25:200,0.5:60,1:30x64; x64 is its own rows per batch, 1 the original',
    commands: job,
    field: 'levels',
    countsSteps: (value) => stepsOf(parseLevels('levels', value)),
  }),
  /** null: 8; 4 for models that make pictures. */
  rank: integer({
    default: null,
    least: 1,
    flag: '--rank <n>',
    help: 'LoRA rank (default: 8; 4 for models that make pictures)',
    commands: job,
    field: 'rank',
    mostServed: 65_536,
  }),
  /** null: 16; 8 for models that take images, 4 for those that make them. */
  alpha: number({
    default: null,
    range: positiveFinite,
    flag: '--alpha <x>',
    help: 'LoRA alpha (default: 16; 8 for models that take images, 4 for those that make them)',
    commands: job,
    field: 'alpha',
  }),
  useRslora: flagged({
    default: false,
    flag: '--rslora',
    help: 'scale by alpha / sqrt(rank)',
    commands: job,
    field: 'use_rslora',
  }),
  /** Magnitude and direction apart (arXiv 2402.09353); on the original alone. */
  useDora: flagged({
    default: false,
    of: 'text',
    flag: '--dora',
    help: 'DoRA: the norm of each row of a weight is trained, too; with --method paged or resident only',
    commands: job,
    field: 'use_dora',
  }),
  /** Regular expression over whole module paths; null: those of the kind of model. */
  targets: text({
    default: null,
    check: assertRegExp,
    flag: '--targets <pattern>',
    help: 'regular expression over whole module paths (default: all linear layers of the blocks; of models that make pictures attention and feed-forward, as diffusers does)',
    commands: job,
    field: 'targets',
  }),
  /** null: 2e-4; 4e-5 for models that take images, 1e-4 for those that make them; 1 for Prodigy. */
  learningRate: number({
    default: null,
    range: learningRates,
    flag: '--lr <x>',
    help: 'peak learning rate (default: 2e-4; 4e-5 for models that take images, 1e-4 for those that make them; 1 for prodigy)',
    commands: job,
    field: 'learning_rate',
  }),
  /** Learning rate of every B as a multiple of that of A; 1: one rate. */
  loraPlusRatio: number({
    default: 1,
    range: {
      expected: 'at least 1 and at most 1000000',
      holds: (value) => value >= 1 && value <= 1_000_000,
    },
    flag: '--lora-plus-ratio <x>',
    help: "LoRA+: B's learning rate is so many times A's (adamw)",
    commands: job,
    field: 'lora_plus_ratio',
  }),
  /** Probability that an input of A is dropped while it is trained; 0: none is. */
  loraDropout: number({
    default: 0,
    range: { expected: 'at least 0 and below 1', holds: (value) => value >= 0 && value < 1 },
    flag: '--lora-dropout <p>',
    help: "probability that an input of LoRA's A is dropped in training, as PEFT's lora_dropout",
    commands: job,
    field: 'lora_dropout',
  }),
  optimizer: choice({
    choices: ['adamw', 'prodigy'],
    default: 'adamw',
    flag: '--optimizer <name>',
    help: 'adamw, or prodigy, which finds its learning rate',
    commands: job,
    field: 'optimizer',
  }),
  /** null: cosine; constant for models that make pictures. */
  schedule: choice({
    choices: scheduleKinds,
    default: null,
    flag: '--schedule <kind>',
    help: 'learning rate: cosine, linear or constant (default: cosine; constant for models that make pictures)',
    commands: job,
    field: 'schedule',
  }),
  /** Share of the steps; null: 0.03; 0 for models that make pictures. */
  warmupRatio: number({
    default: null,
    range: { expected: 'at least 0 and below 1', holds: (value) => value >= 0 && value < 1 },
    flag: '--warmup-ratio <x>',
    help: 'share of the steps that warm up (default: 0.03; 0 for models that make pictures)',
    commands: job,
    field: 'warmup_ratio',
  }),
  /** null: 0; 1e-4 for models that make pictures. */
  weightDecay: number({
    default: null,
    range: { expected: 'at least 0', holds: (value) => value >= 0 && Number.isFinite(value) },
    flag: '--weight-decay <x>',
    help: 'weight decay (default: 0; 1e-4 for models that make pictures)',
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
  /** null: `epochs` decides; 500 for models that make pictures. */
  steps: integer({
    default: null,
    least: 1,
    most: mostSteps,
    excludes: 'epochs',
    flag: '--steps <n>',
    help: 'optimizer steps (default: what --epochs gives; 500 for models that make pictures)',
    commands: job,
    field: 'steps',
    mostServed: 'maxSteps',
  }),
  /** null: 1, where neither `steps` nor `levels` decides. */
  epochs: number({
    default: null,
    range: positiveFinite,
    flag: '--epochs <x>',
    help: 'passes over the training rows (default: 1)',
    of: 'text',
    commands: job,
    field: 'epochs',
    mostServed: 'maxSteps',
  }),
  /** Rows per micro-batch; null: 8; 1 for models that make pictures. */
  batch: integer({
    default: null,
    least: 1,
    flag: '--batch <n>',
    help: 'rows per micro-batch (default: 8; 1 for models that make pictures)',
    helpIn: { eval: 'rows per batch (default: 8; 1 for models that make pictures)' },
    commands: running,
    field: 'batch_rows',
    mostServed: mostCounted,
  }),
  /** In place of `batch`: most tokens of a micro-batch, whose rows are of like length. */
  batchTokens: integer({
    default: null,
    least: 2,
    excludes: 'batch',
    of: 'text',
    flag: '--batch-tokens <n>',
    help: 'tokens per micro-batch at most, of rows of like length, in place of --batch (default: --batch decides)',
    commands: job,
    field: 'batch_tokens',
    mostServed: 10 * mostCounted,
  }),
  /** null: 1; 4 for models that make pictures. */
  gradientAccumulation: integer({
    default: null,
    least: 1,
    flag: '--grad-accum <n>',
    help: 'micro-batches per step (default: 1; 4 for models that make pictures)',
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
    of: 'text',
    commands: [...running, 'data'],
    field: 'max_length_tokens',
    mostServed: 10 * mostCounted,
  }),
  calibrationRows: integer({
    default: 64,
    least: 1,
    flag: '--calibration <rows>',
    help: 'rows that the emulator is calibrated on; draws of image, noise and noise level for models that make pictures',
    commands: job,
    field: 'calibration_rows',
    mostServed: mostCounted,
  }),
  /** What factors are closest in: the layers' outputs, or what the loss makes of these. */
  emulatorMetric: choice({
    choices: ['output', 'loss'],
    default: 'output',
    flag: '--emulator-metric <metric>',
    help: "what the emulator is close in: each layer's output, or the loss, which takes a backward pass over the calibration rows",
    commands: job,
    field: 'emulator_metric',
  }),
  /** How factors are found; see `solverFor`. */
  factors: choice({
    choices: factorsChoices,
    default: 'auto',
    flag: '--factors <way>',
    help: 'how factors are found: exact solves the whole eigenproblem in float64, fast works in float32 and checks the error, auto takes what is cheaper',
    commands: job,
    field: 'factors',
  }),
  /** As what the weights that are trained on are held; `model`: in the device's own numbers. */
  storage: choice({
    choices: ['model', ...quantizedFormats],
    default: 'model',
    flag: '--storage <name>',
    help: "as what training holds the linear layers' frozen weights and factors: int8 or nf4, in blocks of codes that are made whole as a layer is used, or model: as they are",
    commands: job,
    field: 'storage',
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
    most: mostSteps,
    flag: '--refine-steps <n>',
    help: 'steps on the original after the correction (default: 10 % of the steps)',
    commands: job,
    field: 'refine_steps',
    mostServed: 'maxSteps',
  }),
  /** null: half of `learningRate`. */
  refineLearningRate: number({
    default: null,
    range: learningRates,
    flag: '--refine-lr <x>',
    help: 'their peak learning rate (default: half of --lr)',
    commands: job,
    field: 'refine_learning_rate',
  }),
  /** null: validation before and after training only, and the result is how it ended. */
  evalSteps: integer({
    default: null,
    least: 1,
    most: mostSteps,
    flag: '--eval-steps <n>',
    help: 'validate after every so many steps, too, and keep the best state (default: how training ended is kept)',
    commands: job,
    field: 'eval_steps',
    mostServed: 'maxSteps',
  }),
  /** null: all steps are made. */
  patience: integer({
    default: null,
    least: 1,
    most: mostSteps,
    flag: '--patience <n>',
    help: 'end training after so many validations of --eval-steps in a row that were not better than the best (default: all steps are made)',
    commands: job,
    field: 'patience',
  }),
  /** null: every gradient is the emulator's. */
  anchorSteps: integer({
    default: null,
    least: 1,
    most: mostSteps,
    flag: '--anchor-steps <n>',
    help: "every so many steps on an emulator take the gradient on the original, which corrects the emulator's until the next (default: never)",
    commands: job,
    field: 'anchor_steps',
    mostServed: 'maxSteps',
  }),
  /** null: 64, where `anchorSteps` is given. */
  anchorRows: integer({
    default: null,
    least: 1,
    most: mostCounted,
    flag: '--anchor-rows <n>',
    help: 'rows of such a gradient, at least those of a step (default: 64)',
    commands: job,
    field: 'anchor_rows',
  }),
  seed: integer({
    default: 0,
    least: 0,
    flag: '--seed <n>',
    help: 'decides everything random',
    helpIn: {
      eval: 'decides which draws of pictures are scored, and how pictures are cut',
      data: 'decides how pictures are cut',
    },
    commands: [...modelled, 'data'],
    field: 'seed',
  }),
});
