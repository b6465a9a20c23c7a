import { parseRatioRules } from '@emloc/emulator';
import { scheduleKinds } from '@emloc/finetune';

import { assertRegExp } from './checks.js';
import {
  choice,
  choiceOrNumber,
  flagged,
  integer,
  number,
  positive,
  size,
  text,
  texts,
  type OptionCommand,
  type OptionSpec,
} from './kinds.js';

const here = ['tune', 'plan'] as const;
const job = ['tune', 'plan', 'jobs'] as const;
const running = [...job, 'eval'] as const;

/** Of things that a deployment counts in 32 bits, so that sums of them stay exact. */
const mostCounted = 1_000_000;

const source =
  'a file of this machine, which is uploaded; server:PATH, a file that the server sees; or datasets/ID, uploaded before';

/**
 * Every option of a job, of an evaluation and of a merge, in the order in which help has them: what
 * the command, its configuration file, the services and the engine know of it comes from here.
 * Sizes are bytes, lengths tokens, paths as the process sees them.
 */
export const optionTable = Object.freeze({
  model: text({
    flag: '--model <dir>',
    help: 'checkpoint folder (Hugging Face layout)',
    helpIn: { jobs: 'checkpoint folder as the server sees it' },
    commands: [...running, 'merge', 'data'],
    field: 'model',
    decides: false,
  }),
  /** A PEFT adapter's folder; null: the base model. */
  adapter: text({
    default: null,
    flag: '--adapter <dir>',
    help: 'PEFT adapter (default: none, the base model)',
    helpIn: { merge: 'PEFT adapter' },
    commands: ['eval', 'merge'],
  }),
  data: text({
    flag: '--data <file>',
    help: 'training rows, JSONL with "messages" or "prompt" and "completion"',
    helpIn: {
      jobs: `training rows, JSONL: ${source}`,
      eval: 'rows to score, JSONL as for tune',
    },
    commands: running,
    field: 'data',
    decides: false,
  }),
  /** null: held out of `data`. */
  validation: text({
    default: null,
    flag: '--validation <file>',
    help: 'validation rows (default: 5 % of the data, 16 to 256 rows, held out by seed)',
    helpIn: { jobs: 'validation rows, as --data (default: held out of the data)' },
    commands: job,
    field: 'validation',
    decides: false,
  }),
  out: text({
    flag: '--out <dir>',
    help: 'folder of the adapter',
    helpIn: { plan: 'as for tune; nothing is written', merge: 'folder of the merged checkpoint' },
    commands: [...here, 'merge'],
    decides: false,
  }),
  /** Element type of merged weights; null: that of the checkpoint. */
  dtype: choice({
    choices: ['bfloat16', 'float16', 'float32'],
    default: null,
    flag: '--dtype <name>',
    help: "element type of the merged weights (default: the checkpoint's)",
    commands: ['merge'],
  }),
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
  alpha: number({
    default: 16,
    range: positive,
    flag: '--alpha <x>',
    help: 'LoRA alpha',
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
  learningRate: number({
    default: 2e-4,
    range: positive,
    flag: '--lr <x>',
    help: 'peak learning rate',
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
  maxLength: integer({
    default: 1024,
    least: 2,
    flag: '--max-length <tokens>',
    help: 'longer rows are truncated',
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
    commands: job,
    field: 'seed',
  }),
  /** The first so many rows; null: all. */
  limit: integer({
    default: null,
    least: 1,
    flag: '--limit <n>',
    help: 'only the first rows',
    commands: ['eval', 'data'],
  }),
  /** Greedy answers to the first so many rows, beside the expected ones. */
  answers: integer({
    default: 0,
    least: 0,
    flag: '--answers <n>',
    help: 'also show greedy answers to the first rows',
    commands: ['eval'],
  }),
  /** Device memory budget; null: what inference would take. */
  vramBytes: size({
    default: null,
    flag: '--vram <size>',
    help: 'device memory budget, as in 16GiB (default: what inference takes)',
    commands: running,
    field: 'vram_bytes',
    decides: false,
  }),
  /**
   * Host memory for weights that are not on the device; Infinity: half of what is free when a stage
   * begins.
   */
  hostBytes: size({
    default: Number.POSITIVE_INFINITY,
    flag: '--host-memory <size>',
    help: 'host memory for weights that are not on the device (default: half of what is free)',
    commands: running,
    field: 'host_bytes',
    decides: false,
  }),
  prefetch: flagged({
    default: true,
    flag: '--no-prefetch',
    help: 'load a layer only when it is asked for',
    commands: running,
    field: 'prefetch',
    decides: false,
  }),
});

type Table = typeof optionTable;

type ValueOf<S> = S extends OptionSpec<infer T> ? T : never;

type CommandOf<S> = S extends { readonly commands: readonly (infer C)[] } ? C : never;

/** The options that a command takes, every one with a value. */
export type OptionsOf<C extends OptionCommand> = {
  readonly [K in keyof Table as C extends CommandOf<Table[K]> ? K : never]: ValueOf<Table[K]>;
};

/** An option with its name in the table. */
export interface NamedOption extends OptionSpec {
  readonly name: string;
}

/** The options that a command takes, in the order of the table. */
export function optionsFor(command: OptionCommand): readonly NamedOption[] {
  return Object.entries<OptionSpec>(optionTable)
    .filter(([, { commands }]) => commands.includes(command))
    .map(([name, spec]) => ({ name, ...spec }));
}
