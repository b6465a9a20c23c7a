export interface BlockShape {
  readonly columns: number;
  readonly xWidth: number;
  readonly xColumn?: number;
  readonly outWidth: number;
  readonly outRow?: number;
  readonly outColumn?: number;
  readonly scale?: number;
}

/** `out` with scale · columns of every row of x at (outRow, outColumn). */
export function copyBlock(
  x: Float64Array,
  out: Float64Array,
  { columns, xWidth, xColumn = 0, outWidth, outRow = 0, outColumn = 0, scale = 1 }: BlockShape,
): Float64Array {
  const result = out.slice();
  for (let i = 0; i < x.length / xWidth; i += 1) {
    for (let j = 0; j < columns; j += 1) {
      const value = scale * (x[i * xWidth + xColumn + j] as number);
      result[(outRow + i) * outWidth + outColumn + j] = value;
    }
  }
  return result;
}
