export interface OuterProductShape {
  readonly rows: number;
  readonly leftWidth: number;
  readonly leftColumn: number;
  readonly leftColumns: number;
  readonly columns: number;
  readonly transposeOut?: boolean;
  readonly alpha?: number;
}

/** out + alpha · leftᵀ right over some columns of left. */
export function outerProduct(
  left: Float64Array,
  right: Float64Array,
  out: Float64Array,
  { rows, leftWidth, leftColumn, leftColumns, columns, transposeOut, alpha = 1 }: OuterProductShape,
): Float64Array {
  return out.map((value, index) => {
    const [i, j] = transposeOut
      ? [index % leftColumns, Math.floor(index / leftColumns)]
      : [Math.floor(index / columns), index % columns];
    let sum = 0;
    for (let row = 0; row < rows; row += 1) {
      const l = left[row * leftWidth + leftColumn + i] as number;
      sum += l * (right[row * columns + j] as number);
    }
    return value + alpha * sum;
  });
}
