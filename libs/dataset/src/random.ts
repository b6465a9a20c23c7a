import { createHash } from 'node:crypto';
import { at } from '@emloc/checked';

/** A deterministic stream of random numbers. */
export interface Random {
  /** Uniform in [0, 1), 53 random bits. */
  nextFloat(): number;
  /** Uniform integer in [0, limit), without bias. `limit` is an integer from 1 to 2^32. */
  nextInt(limit: number): number;
  /** Shuffles the array in place (Fisher-Yates, every order equally likely) and returns it. */
  shuffle<T>(values: T[]): T[];
}

/**
 * The stream that a seed and a name stand for: xoshiro128** whose state is the first 128 bits of
 * SHA-256("seed\0name"). Streams of different names are independent, so that what one part of a
 * program draws never moves another's numbers.
 */
export function createRandom(seed: number, streamName: string): Random {
  const digest = createHash('sha256').update(`${seed}\0${streamName}`).digest();
  return new Xoshiro128([0, 4, 8, 12].map((offset) => digest.readUInt32LE(offset)));
}

/**
 * xoshiro128** 1.1 (Blackman and Vigna, "Scrambled linear pseudorandom number generators"), period
 * 2^128 - 1.
 */
export class Xoshiro128 implements Random {
  readonly #state: Uint32Array;

  /** `state`: four unsigned 32-bit integers, not all zero. */
  constructor(state: readonly number[]) {
    this.#state = Uint32Array.from(state);
  }

  /** The next 32 random bits as an unsigned integer. */
  nextUint32(): number {
    // Not with `at`: latents of a picture take a million of these.
    const s0 = this.#state[0] as number;
    const s1 = this.#state[1] as number;
    const s2 = this.#state[2] as number;
    const s3 = this.#state[3] as number;
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    const mixed2 = s2 ^ s0;
    const mixed3 = s3 ^ s1;
    this.#state[0] = s0 ^ mixed3;
    this.#state[1] = s1 ^ mixed2;
    this.#state[2] = mixed2 ^ (s1 << 9);
    this.#state[3] = rotateLeft(mixed3, 11);
    return result;
  }

  nextFloat(): number {
    const high = this.nextUint32() >>> 5;
    const low = this.nextUint32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  nextInt(limit: number): number {
    if (!Number.isInteger(limit) || limit < 1 || limit > 2 ** 32)
      throw new RangeError(`random: limit ${limit} is not an integer from 1 to 2^32`);
    const fair = 2 ** 32 - (2 ** 32 % limit);
    let value = this.nextUint32();
    while (value >= fair) value = this.nextUint32();
    return value % limit;
  }

  shuffle<T>(values: T[]): T[] {
    for (let last = values.length - 1; last > 0; last -= 1) {
      const chosen = this.nextInt(last + 1);
      const kept = at(values, last);
      values[last] = at(values, chosen);
      values[chosen] = kept;
    }
    return values;
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
