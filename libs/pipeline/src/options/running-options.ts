import { metricNames } from '@emloc/tasks';

import { answering, modelled, tuning } from './commands.js';
import { choice, flagged, integer, number, size, text, texts } from './kinds.js';

/** How much is done, and in how much memory. */
export const runningOptions = Object.freeze({
  /** The first so many rows; null: all. */
  limit: integer({
    default: null,
    least: 1,
    of: 'text',
    flag: '--limit <n>',
    help: 'only the first rows',
    commands: ['eval', 'data'],
  }),
  /** Greedy answers to the first so many rows, beside the expected ones. */
  answers: integer({
    default: 0,
    least: 0,
    of: 'text',
    flag: '--answers <n>',
    help: 'also show greedy answers to the first rows',
    commands: ['eval'],
  }),
  /** What the model is asked; a base model without a chat template goes on with it. */
  prompt: text({
    flag: '--prompt <text>',
    help: 'what the model is asked; without a chat template, the text that it goes on with; or what a picture shows',
    commands: ['generate'],
  }),
  /** Files that it shows, in their order. */
  images: texts({
    default: Object.freeze([]),
    of: 'text',
    flag: '--image <file>',
    help: 'image that the prompt shows, where it says <image> or before it (repeatable)',
    commands: ['generate'],
  }),
  /** What it is told before; null: nothing. */
  system: text({
    default: null,
    of: 'text',
    flag: '--system <text>',
    help: 'what the model is told before the prompt (default: nothing)',
    commands: answering,
  }),
  /** Most tokens of an answer. */
  maxNewTokens: integer({
    default: 256,
    least: 1,
    of: 'text',
    flag: '--max-new-tokens <n>',
    help: 'most tokens of an answer',
    commands: ['eval', ...answering],
  }),
  /** Tokens of prompt and answer; null: the model's positions, in conversations at most 4096. */
  context: integer({
    default: null,
    least: 2,
    of: 'text',
    flag: '--context <tokens>',
    help: "most tokens of a prompt or a conversation with its answer (default: the model's positions; with --chat or --serve, which keep memory for them, at most 4096)",
    commands: answering,
  }),
  /** 0: always the most likely token. */
  temperature: number({
    default: 0,
    range: {
      expected: 'at least 0',
      holds: (value) => value >= 0 && Number.isFinite(value),
    },
    of: 'text',
    flag: '--temperature <x>',
    help: 'tokens are drawn, from logits divided by it; 0 takes the most likely one',
    commands: answering,
  }),
  topP: number({
    default: 1,
    range: { expected: 'above 0 and at most 1', holds: (value) => value > 0 && value <= 1 },
    of: 'text',
    flag: '--top-p <x>',
    help: 'draw from the most likely tokens that have this share of the probability together',
    commands: answering,
  }),
  /** How answers to all rows are scored; null: they are not. */
  metric: choice({
    choices: metricNames,
    default: null,
    of: 'text',
    flag: '--metric <name>',
    help: 'score the answers to all rows, as docs/guide/scores.md says (default: answers are not scored)',
    commands: ['eval'],
  }),
  /** Device memory budget; null: what inference would take. */
  vramBytes: size({
    default: null,
    flag: '--vram <size>',
    help: 'device memory budget, as in 16GiB (default: what inference takes, or what the job needs if that is more)',
    commands: modelled,
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
    commands: modelled,
    field: 'host_bytes',
    decides: false,
  }),
  /** Disk space for what is made of images; Infinity: what is free beside the output. */
  imageCacheBytes: size({
    default: Number.POSITIVE_INFINITY,
    flag: '--image-cache <size>',
    help: 'disk space beside the output for what is made of images (default: what is free)',
    commands: tuning,
    decides: false,
  }),
  prefetch: flagged({
    default: true,
    flag: '--no-prefetch',
    help: 'load a layer only when it is asked for',
    commands: modelled,
    field: 'prefetch',
    decides: false,
  }),
});
