import { at } from '@emloc/checked';

import type { RopeFrequencies } from './decoder-shape.js';

/**
 * cos and sin of position · frequency, times the factor, each float32 (positions, frequencies),
 * row-major (RoFormer, arXiv 2104.09864), rounded at the same places as transformers' float32
 * computation.
 */
export function ropeTables(
  { inverse, factor, positionFactor }: RopeFrequencies,
  positions: number,
): { cos: Float32Array; sin: Float32Array } {
  const half = inverse.length;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let position = 0; position < positions; position += 1) {
    const scale = factor * (positionFactor?.(position) ?? 1);
    for (let i = 0; i < half; i += 1) {
      const angle = Math.fround(position * at(inverse, i));
      cos[position * half + i] = Math.fround(Math.cos(angle)) * scale;
      sin[position * half + i] = Math.fround(Math.sin(angle)) * scale;
    }
  }
  return { cos, sin };
}
