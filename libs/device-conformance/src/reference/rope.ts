export interface RopeShape {
  readonly heads: number;
  readonly headLength: number;
  readonly positions: readonly number[];
  readonly rotaryDim?: number;
  readonly pairs?: 'halves' | 'adjacent';
}

/** cos and sin tables, (count, rotaryDim / 2), times a factor. */
export function ropeTables(
  count: number,
  rotaryDim: number,
  factor = 1,
): { cos: Float64Array; sin: Float64Array } {
  const half = rotaryDim / 2;
  const angles = Float64Array.from(
    { length: count * half },
    (_, i) => Math.floor(i / half) / 10_000 ** ((i % half) / half),
  );
  return {
    cos: angles.map((angle) => Math.fround(factor * Math.cos(angle))),
    sin: angles.map((angle) => Math.fround(factor * Math.sin(angle))),
  };
}

/**
 * Two elements of each head are one plane, turned by the angle of the row's position: i of the first
 * half and i of the second, or neighbours. Elements from `rotaryDim` on stay.
 */
export function rope(
  x: Float64Array,
  tables: { cos: Float64Array; sin: Float64Array },
  { heads, headLength, positions, rotaryDim = headLength, pairs = 'halves' }: RopeShape,
): Float64Array {
  const half = rotaryDim / 2;
  return x.map((value, index) => {
    const within = index % headLength;
    if (within >= rotaryDim) return value;
    const position = positions[Math.floor(index / (heads * headLength))] as number;
    const isHalves = pairs === 'halves';
    const angle = position * half + (isHalves ? within % half : Math.floor(within / 2));
    const isFirst = isHalves ? within < half : within % 2 === 0;
    const gap = isHalves ? half : 1;
    const [cos, sin] = [tables.cos[angle] as number, tables.sin[angle] as number];
    const partner = x[isFirst ? index + gap : index - gap] as number;
    return value * cos + (isFirst ? -partner : partner) * sin;
  });
}
