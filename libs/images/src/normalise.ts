/**
 * (value / 255 - mean) / std by value of 8 bits; each step is rounded to float32, as torchvision's
 * are.
 */
export function normalisedValues(mean: number, std: number): Float32Array {
  const [centre, scale] = [Math.fround(mean), Math.fround(std)];
  return Float32Array.from(
    { length: 256 },
    (_, value) => Math.fround(Math.fround(value / 255) - centre) / scale,
  );
}
