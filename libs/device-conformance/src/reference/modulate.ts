/** Every row times 1 + the scale of its sequence, plus its shift; scale and shift (sequences, width). */
export function modulate(
  x: Float64Array,
  scale: Float64Array,
  shift: Float64Array,
  lengths: readonly number[],
): Float64Array {
  const width = scale.length / lengths.length;
  const owners = lengths.flatMap((length, s) => new Array<number>(length).fill(s));
  return x.map((value, index) => {
    const i = (owners[Math.floor(index / width)] as number) * width + (index % width);
    return value * (1 + (scale[i] as number)) + (shift[i] as number);
  });
}
