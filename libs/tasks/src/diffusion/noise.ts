import { createRandom, fillNormal } from '@emloc/dataset';

/** Standard normal numbers that a seed and what they are for stand for. */
export function noiseOf(seed: number, purpose: string, count: number): Float32Array {
  return fillNormal(createRandom(seed, `noise ${purpose}`), new Float32Array(count));
}
