import { createHash } from 'node:crypto';

/** Dropout on what LoRA's A sees while it is trained: PEFT's `lora_dropout`. */
export interface LoraDropout {
  /** Above 0 and below 1. */
  readonly probability: number;
  readonly seed: number;
  /** Runs of one seed have masks of their own by it. */
  readonly run: string;
}

/** That of one micro-batch. */
export interface MicroBatchDropout {
  readonly probability: number;
  /** (2): what its masks are drawn by. */
  readonly key: Int32Array;
}

/**
 * The key is the first 64 bits of a SHA-256 of seed, run, step and micro-batch, so that a step has
 * the masks that it has wherever the run goes on.
 * @param step 0 for the first
 * @param microBatch of the step, 0 for the first
 */
export function dropoutOf(
  { probability, seed, run }: LoraDropout,
  step: number,
  microBatch: number,
): MicroBatchDropout {
  const name = `${seed}\0lora dropout of ${run}\0${step}\0${microBatch}`;
  const digest = createHash('sha256').update(name).digest();
  return { probability, key: Int32Array.of(digest.readInt32LE(0), digest.readInt32LE(4)) };
}
