import { at } from '@emloc/checked';

/**
 * cos and sin of position · theta^(−2i / headDim), each float32 (positions, headDim / 2), row-major
 * (RoFormer, arXiv 2104.09864), rounded at the same places as transformers' float32 computation.
 */
export function ropeTables(
  { theta, headDim }: { theta: number; headDim: number },
  positions: number,
): { cos: Float32Array; sin: Float32Array } {
  const half = headDim / 2;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  const frequencies = Float32Array.from(
    { length: half },
    (_, i) => 1 / Math.fround(theta ** Math.fround((2 * i) / headDim)),
  );
  for (let position = 0; position < positions; position += 1) {
    for (let i = 0; i < half; i += 1) {
      const angle = Math.fround(position * at(frequencies, i));
      cos[position * half + i] = Math.cos(angle);
      sin[position * half + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}
