export interface RopeShape {
  readonly heads: number;
  readonly headLength: number;
  readonly positions: readonly number[];
}

/** cos and sin tables, (count, headLength / 2). */
export function ropeTables(
  count: number,
  headLength: number,
  theta = 10000,
): { cos: Float64Array; sin: Float64Array } {
  const half = headLength / 2;
  const angles = Float64Array.from(
    { length: count * half },
    (_, i) => Math.floor(i / half) / theta ** ((i % half) / half),
  );
  return {
    cos: angles.map((angle) => Math.fround(Math.cos(angle))),
    sin: angles.map((angle) => Math.fround(Math.sin(angle))),
  };
}

/**
 * Element i of each head's first half and of its second are one plane, turned by the angle of the
 * row's position.
 */
export function rope(
  x: Float64Array,
  tables: { cos: Float64Array; sin: Float64Array },
  { heads, headLength, positions }: RopeShape,
): Float64Array {
  const half = headLength / 2;
  return x.map((value, index) => {
    const within = index % headLength;
    const position = positions[Math.floor(index / (heads * headLength))] as number;
    const angle = position * half + (within % half);
    const [cos, sin] = [tables.cos[angle] as number, tables.sin[angle] as number];
    const partner = x[within < half ? index + half : index - half] as number;
    return value * cos + (within < half ? -partner : partner) * sin;
  });
}
