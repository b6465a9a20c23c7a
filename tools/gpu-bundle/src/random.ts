/** Uniform numbers in (0, 1) from a seed: xorshift32, good enough for test data. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 0.5) / 2 ** 32;
  };
}

/** Standard normal numbers (Box and Muller), times `scale`. */
export function normals(count: number, random: () => number, scale = 1): Float32Array {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 1)
    values[i] = scale * Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
  return values;
}

/** Values rounded to bfloat16, to nearest even. */
export function roundToBfloat16(values: Float32Array): Float32Array {
  const rounded = Float32Array.from(values);
  const bits = new Uint32Array(rounded.buffer);
  for (let i = 0; i < bits.length; i += 1) {
    const word = bits[i] as number;
    bits[i] = ((word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000) >>> 0;
  }
  return rounded;
}
