import { running } from './commands.js';
import { flagged, integer, size } from './kinds.js';

/** How much is done, and in how much memory. */
export const runningOptions = Object.freeze({
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
