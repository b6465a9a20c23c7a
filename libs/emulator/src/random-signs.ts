import { createHash } from 'node:crypto';

/** Memory of signs that nobody needs any more: the first touch of fresh memory takes longer. */
let spare = new Float64Array(0);

/**
 * ±1 with equal odds, `count` of them, the same for the same text: the bits of a counter that
 * starts at the first 32 bits of the text's SHA-256, through the finaliser of MurmurHash3.
 */
export function randomSigns(text: string, count: number): Float32Array {
  // Of whole groups of 32.
  const pairs = takeSpare(Math.ceil(count / 32) * 16);
  let counter = createHash('sha256').update(text).digest().readUInt32LE(0);
  for (let start = 0; start < pairs.length; start += 16) {
    counter = (counter + 0x9e3779b9) | 0;
    let bits = mixed(counter);
    for (let index = start; index < start + 16; index += 1) {
      pairs[index] = signPairs[bits & 3] as number;
      bits >>>= 2;
    }
  }
  return new Float32Array(pairs.buffer, pairs.byteOffset, count);
}

/** Signs of `randomSigns` that nobody reads any more: their memory is used again. */
export function giveBackSigns({ buffer }: Float32Array): void {
  spare = new Float64Array(buffer as ArrayBuffer);
}

function takeSpare(length: number): Float64Array {
  const memory = spare;
  spare = new Float64Array(0);
  return memory.length >= length ? memory.subarray(0, length) : new Float64Array(length);
}

/** Two signs of float32, -1 for a bit of 0, the lower bit first, in the place of one float64. */
const signPairs = new Float64Array(Float32Array.of(-1, -1, 1, -1, -1, 1, 1, 1).buffer);

function mixed(value: number): number {
  let bits = value;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
