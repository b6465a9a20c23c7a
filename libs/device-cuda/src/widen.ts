/** float32 values of bfloat16 bits. */
export function widen(values: Uint16Array): Float32Array {
  const bits = new Uint32Array(values.length);
  for (let i = 0; i < values.length; i += 1) bits[i] = (values[i] as number) << 16;
  return new Float32Array(bits.buffer);
}
