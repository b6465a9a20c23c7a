import type { Elements, Matrix } from '../linear-algebra.js';

/** Rows of a matrix from an element on. */
export interface Rows<T> extends Matrix<T> {
  readonly start: number;
}

/** Shorter rows are copied faster by a loop than by a call each. */
const fewestColumns = 32;

/** Copies a block; what lies side by side in both places at once. */
export function copyRows<T extends Elements>(
  from: Rows<T>,
  to: Rows<T>,
  rows: number,
  columns: number,
): void {
  if (from.stride === columns && to.stride === columns) {
    to.data.set(from.data.subarray(from.start, from.start + rows * columns), to.start);
    return;
  }
  for (let row = 0; row < rows; row += 1) {
    const [source, target] = [from.start + row * from.stride, to.start + row * to.stride];
    if (columns >= fewestColumns) to.data.set(from.data.subarray(source, source + columns), target);
    else for (let i = 0; i < columns; i += 1) to.data[target + i] = from.data[source + i] as number;
  }
}
