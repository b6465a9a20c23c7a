import { at } from '@emloc/checked';

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const word = (value: bigint): bigint => value & 0xffff_ffffn;

/**
 * Threefry-2x32, as the paper has it: x0 += x1, x1 rotated and mixed with x0 in each round, words
 * of the key and the round's number added after every fourth.
 */
export function threefry(
  key: readonly [number, number],
  counter: readonly [number, number],
  rounds = 13,
): readonly [number, number] {
  const [k0, k1] = [word(BigInt(key[0])), word(BigInt(key[1]))];
  const keys = [k0, k1, 0x1bd11bdan ^ k0 ^ k1] as const;
  let x0 = word(BigInt(counter[0]) + keys[0]);
  let x1 = word(BigInt(counter[1]) + keys[1]);
  for (let round = 0; round < rounds; round += 1) {
    const bits = BigInt(at(rotations, round % 8));
    x0 = word(x0 + x1);
    x1 = word((x1 << bits) | (x1 >> (32n - bits))) ^ x0;
    const injection = (round + 1) / 4;
    if (!Number.isInteger(injection)) continue;
    x0 = word(x0 + at(keys, injection % 3));
    x1 = word(x1 + at(keys, (injection + 1) % 3) + BigInt(injection));
  }
  return [Number(x0), Number(x1)];
}

/** Each element times 0 or 1 / (1 − probability), by its place. */
export function dropout(
  x: Float64Array,
  {
    probability,
    key,
    stream,
  }: { probability: number; key: readonly [number, number]; stream: number },
): Float64Array {
  return x.map((value, i) => {
    const words = threefry(key, [Math.floor(i / 2), stream]);
    const isKept = at(words, i % 2) >= Math.round(probability * 2 ** 32);
    return isKept ? value / (1 - probability) : 0;
  });
}
