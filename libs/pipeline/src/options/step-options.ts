import { scheduleKinds } from '@emloc/finetune';

import { job, running } from './commands.js';
import { choice, integer, number, positive, positiveFinite, positiveUpTo } from './kinds.js';
import { mostCounted, mostLearningRate, mostSteps } from './limits.js';

/** How steps are made: learning rates, optimizer, rows of a step and how many there are. */
export const stepOptions = Object.freeze({
  /** null: 2e-4; 4e-5 for models that take images, 1e-4 for those that make them; 1 for Prodigy. */
  learningRate: number({
    default: null,
    range: positiveUpTo(mostLearningRate),
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
});
