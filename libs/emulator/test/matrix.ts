/** Dense row-major float64 matrices for references in tests. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}

export function matrix(
  rows: number,
  columns: number,
  valueAt: (row: number, column: number) => number,
): Matrix {
  const values = Float64Array.from({ length: rows * columns }, (_, i) =>
    valueAt(Math.floor(i / columns), i % columns),
  );
  return { rows, columns, values };
}

export function fromValues(values: ArrayLike<number>, rows: number, columns: number): Matrix {
  return { rows, columns, values: Float64Array.from(values) };
}

function at({ columns, values }: Matrix, row: number, column: number): number {
  return values[row * columns + column] as number;
}

export function transpose(a: Matrix): Matrix {
  return matrix(a.columns, a.rows, (row, column) => at(a, column, row));
}

export function multiply(first: Matrix, second: Matrix, ...others: readonly Matrix[]): Matrix {
  const product = matrix(first.rows, second.columns, (row, column) => {
    let sum = 0;
    for (let k = 0; k < first.columns; k += 1) sum += at(first, row, k) * at(second, k, column);
    return sum;
  });
  const [third, ...rest] = others;
  return third ? multiply(product, third, ...rest) : product;
}

/** a + factor · b */
export function combine(a: Matrix, b: Matrix, factor: number): Matrix {
  return matrix(
    a.rows,
    a.columns,
    (row, column) => at(a, row, column) + factor * at(b, row, column),
  );
}

export function identity(n: number): Matrix {
  return matrix(n, n, (row, column) => (row === column ? 1 : 0));
}

export function diagonal(values: ArrayLike<number>): Matrix {
  return matrix(values.length, values.length, (row, column) =>
    row === column ? (values[row] as number) : 0,
  );
}

export function trace(a: Matrix): number {
  return a.values.reduce((sum, value, i) => (i % (a.columns + 1) === 0 ? sum + value : sum), 0);
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < a.length; i += 1) {
    const difference = Math.abs((a[i] as number) - (b[i] as number));
    largest = difference <= largest ? largest : difference;
  }
  return largest;
}

/** Independent normal numbers from a seed (mulberry32 and Box-Muller). */
export function createNormal(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

export function randomMatrix(rows: number, columns: number, seed: number): Matrix {
  const normal = createNormal(seed);
  return matrix(rows, columns, () => normal());
}

/**
 * Eigenvalues, ascending, and eigenvectors as rows of a symmetric matrix, by cyclic Jacobi
 * rotations.
 */
export function symmetricEigen(a: Matrix): { values: Float64Array; vectors: Matrix } {
  const n = a.rows;
  const work = Float64Array.from(a.values);
  const vectors = identity(n).values;
  const total = work.reduce((sum, value) => sum + value * value, 0);
  for (let sweep = 0; sweep < 60 && offDiagonal(work, n) > 1e-32 * total; sweep += 1) {
    for (let p = 0; p < n; p += 1)
      for (let q = p + 1; q < n; q += 1) rotate(work, vectors, { n, p, q });
  }
  const order = Array.from({ length: n }, (_, i) => i).sort(
    (i, j) => (work[i * n + i] as number) - (work[j * n + j] as number),
  );
  return {
    values: Float64Array.from(order, (i) => work[i * n + i] as number),
    vectors: matrix(n, n, (row, column) => vectors[(order[row] as number) * n + column] as number),
  };
}

function offDiagonal(work: Float64Array, n: number): number {
  return work.reduce((sum, value, i) => (i % (n + 1) === 0 ? sum : sum + value * value), 0);
}

function rotate(
  work: Float64Array,
  vectors: Float64Array,
  { n, p, q }: { n: number; p: number; q: number },
): void {
  const off = work[p * n + q] as number;
  if (off === 0) return;
  const theta = ((work[q * n + q] as number) - (work[p * n + p] as number)) / (2 * off);
  const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.hypot(theta, 1));
  const c = 1 / Math.hypot(t, 1);
  const s = t * c;
  const turn = (values: Float64Array, first: number, second: number): void => {
    const [x, y] = [values[first] as number, values[second] as number];
    values[first] = c * x - s * y;
    values[second] = s * x + c * y;
  };
  for (let k = 0; k < n; k += 1) turn(work, k * n + p, k * n + q);
  for (let k = 0; k < n; k += 1) turn(work, p * n + k, q * n + k);
  for (let k = 0; k < n; k += 1) turn(vectors, p * n + k, q * n + k);
}
