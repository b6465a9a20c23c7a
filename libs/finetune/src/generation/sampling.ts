import type { LogitSpec } from '@emloc/autograd';
import { at } from '@emloc/checked';

import { FinetuneError } from '../errors.js';

/** How the next token is chosen. */
export interface Sampling {
  /** 0: always the most likely token; else what the logits are divided by. */
  readonly temperature: number;
  /** Only the most likely tokens whose probabilities reach this together are drawn from; 1: all. */
  readonly topP: number;
  readonly seed: number;
}

/** What a draw depends on beside the seed: so answers do not depend on each other. */
export interface DrawPlace {
  /** Number of the prompt. */
  readonly row: number;
  /** Tokens of the answer before. */
  readonly position: number;
}

/**
 * Draws a token from a row of logits (vocabulary).
 * @throws FinetuneError FINETUNE_NON_FINITE where the largest logit is no number
 */
export function sampleToken(
  logits: Float32Array,
  { temperature, topP, seed }: Sampling,
  place: DrawPlace,
): number {
  const largest = logits.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  if (!Number.isFinite(largest))
    throw new FinetuneError(
      'FINETUNE_NON_FINITE',
      `token ${place.position + 1} of answer ${place.row + 1}: the largest logit is ${largest}`,
    );
  const weights = Float64Array.from(logits, (value) => Math.exp((value - largest) / temperature));
  const candidates = topP < 1 ? nucleus(weights, topP) : null;
  return draw(weights, candidates, uniform(seed, place));
}

/** Logits as the softmax takes them. */
export function finishedLogits(
  logits: ArrayLike<number>,
  { factor, softCap }: LogitSpec,
): Float32Array {
  return Float32Array.from(logits, (value) =>
    softCap === null ? factor * value : softCap * Math.tanh((factor * value) / softCap),
  );
}

/** The fewest most likely tokens that reach the share `topP`, by weight; of equals the first. */
function nucleus(weights: Float64Array, topP: number): readonly number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  // All that weigh less than this together weigh less than what may be left out.
  const least = (total * (1 - topP)) / weights.length;
  const sorted = [...weights.keys()]
    .filter((id) => at(weights, id) >= least)
    .sort((a, b) => at(weights, b) - at(weights, a) || a - b);
  let reached = 0;
  const end = sorted.findIndex((id) => (reached += at(weights, id)) >= topP * total);
  return end < 0 ? sorted : sorted.slice(0, end + 1);
}

/** The token at a share of the candidates' weights; null: of all, in their order. */
function draw(weights: Float64Array, candidates: readonly number[] | null, share: number): number {
  const ids = candidates ?? [...weights.keys()];
  let left = share * ids.reduce((sum, id) => sum + at(weights, id), 0);
  const drawn = ids.find((id) => (left -= at(weights, id)) < 0);
  // Roundings may leave a little: then it is the last that has a weight.
  return drawn ?? ids.findLast((id) => at(weights, id) > 0) ?? 0;
}

/** A number in [0, 1), 53 bits. */
function uniform(seed: number, { row, position }: DrawPlace): number {
  const words = [seed, Math.floor(seed / 2 ** 32), row, position];
  const [high, low] = [hash(words, 0x9747b28c) >>> 5, hash(words, 0x3c6ef372) >>> 6];
  return (high * 2 ** 26 + low) / 2 ** 53;
}

/** MurmurHash3 of 32-bit words (Appleby). */
function hash(words: readonly number[], start: number): number {
  let state = start;
  for (const word of words) {
    const mixed = Math.imul(rotate(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);
    state = Math.imul(rotate(state ^ mixed, 13), 5) + 0xe6546b64;
  }
  state ^= words.length * 4;
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return state ^ (state >>> 16);
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
