import { dropoutThreshold, type DropoutOptions } from '@emloc/device';

import { assertShape } from '../checks.js';
import { float32, int32 } from '../memory.js';

export function dropout({
  x,
  out,
  probability,
  key,
  stream,
  accumulate = false,
}: DropoutOptions): void {
  assertShape('dropout', out, x.shape);
  assertShape('dropout', key, [2]);
  const drawn = { probability, stream, accumulate };
  applyDropout(float32(x), float32(out), int32(key), drawn);
}

type Drawn = Required<Pick<DropoutOptions, 'probability' | 'stream' | 'accumulate'>>;

/** @param output as long as `input`, or the same */
function applyDropout(
  input: Float32Array,
  output: Float32Array,
  key: Int32Array,
  { probability, stream, accumulate }: Drawn,
): void {
  const threshold = dropoutThreshold(probability);
  const factor = 1 / (1 - probability);
  const words = new Threefry(key);
  for (let i = 0; i < input.length; i += 1) {
    if (i % 2 === 0) words.draw(i / 2, stream);
    const word = i % 2 === 0 ? words.first : words.second;
    const value = word >>> 0 >= threshold ? factor * (input[i] as number) : 0;
    output[i] = accumulate ? (output[i] as number) + value : value;
  }
}

/** 0 or 1 / (1 − probability) for each of `count` elements. @param key (2) */
export function dropoutFactors(
  count: number,
  key: Int32Array,
  drawn: Pick<Drawn, 'probability' | 'stream'>,
): Float32Array {
  const factors = new Float32Array(count).fill(1);
  applyDropout(factors, factors, key, { ...drawn, accumulate: false });
  return factors;
}

/** Threefry-2x32 with 13 rounds; a key word is added after every fourth. */
class Threefry {
  first = 0;
  second = 0;
  readonly #k0: number;
  readonly #k1: number;
  readonly #k2: number;

  constructor(key: ArrayLike<number>) {
    this.#k0 = (key[0] as number) | 0;
    this.#k1 = (key[1] as number) | 0;
    this.#k2 = 0x1bd11bda ^ this.#k0 ^ this.#k1;
  }

  draw(counter: number, stream: number): void {
    let a = (counter + this.#k0) | 0;
    let b = (stream + this.#k1) | 0;
    a = (a + b) | 0;
    b = ((b << 13) | (b >>> 19)) ^ a;
    a = (a + b) | 0;
    b = ((b << 15) | (b >>> 17)) ^ a;
    a = (a + b) | 0;
    b = ((b << 26) | (b >>> 6)) ^ a;
    a = (a + b) | 0;
    b = ((b << 6) | (b >>> 26)) ^ a;
    a = (a + this.#k1) | 0;
    b = (b + this.#k2 + 1) | 0;
    a = (a + b) | 0;
    b = ((b << 17) | (b >>> 15)) ^ a;
    a = (a + b) | 0;
    b = ((b << 29) | (b >>> 3)) ^ a;
    a = (a + b) | 0;
    b = ((b << 16) | (b >>> 16)) ^ a;
    a = (a + b) | 0;
    b = ((b << 24) | (b >>> 8)) ^ a;
    a = (a + this.#k2) | 0;
    b = (b + this.#k0 + 2) | 0;
    a = (a + b) | 0;
    b = ((b << 13) | (b >>> 19)) ^ a;
    a = (a + b) | 0;
    b = ((b << 15) | (b >>> 17)) ^ a;
    a = (a + b) | 0;
    b = ((b << 26) | (b >>> 6)) ^ a;
    a = (a + b) | 0;
    b = ((b << 6) | (b >>> 26)) ^ a;
    a = (a + this.#k0) | 0;
    b = (b + this.#k1 + 3) | 0;
    a = (a + b) | 0;
    b = ((b << 17) | (b >>> 15)) ^ a;
    this.first = a;
    this.second = b;
  }
}
