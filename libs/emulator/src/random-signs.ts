import { createHash } from 'node:crypto';

/**
 * ±1 with equal odds, `count` of them, the same for the same text: the bits of a counter that
 * starts at the first 32 bits of the text's SHA-256, through the finaliser of MurmurHash3.
 */
export function randomSigns(text: string, count: number): Float32Array {
  const signs = new Float32Array(count);
  const words = new Int32Array(signs.buffer);
  let counter = createHash('sha256').update(text).digest().readUInt32LE(0);
  for (let start = 0; start < count; start += 32) {
    counter = (counter + 0x9e3779b9) | 0;
    let bits = mixed(counter);
    const end = Math.min(count, start + 32);
    for (let index = start; index < end; index += 1) {
      // 1 in float32, its sign set for a bit of 0.
      words[index] = 0x3f800000 | (~bits << 31);
      bits >>>= 1;
    }
  }
  return signs;
}

function mixed(value: number): number {
  let bits = value;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
