import { DeviceError } from '@emloc/device';

import { tridiagonalize } from './tridiagonalize.js';

const maxIterationsPerValue = 60;

/**
 * A tridiagonal symmetric matrix: diagonal (n), and offDiagonal (n) with element i between i and i
 * + 1, the last unused.
 */
interface Tridiagonal {
  readonly diagonal: Float64Array;
  readonly offDiagonal: Float64Array;
}

/**
 * Eigenvalues ascending, and `a` overwritten by their eigenvectors as rows: Householder
 * tridiagonalisation, then implicit QL with Wilkinson's shift (Golub and Van Loan, Matrix
 * Computations, 8.3). Needs n² + 3 n float64 besides.
 * @throws DeviceError DEVICE_NATIVE_FAILURE when QL does not converge, as for input that is not
 * finite
 */
export function portableEigh(a: Float64Array, values: Float64Array): void {
  const n = values.length;
  const offDiagonal = new Float64Array(n);
  const vectors = tridiagonalize(a, { diagonal: values, offDiagonal });
  diagonalize({ diagonal: values, offDiagonal }, vectors);
  sortInto(a, values, vectors);
}

/** QL on the tridiagonal matrix; each rotation also turns two rows of `vectors`. */
function diagonalize({ diagonal, offDiagonal }: Tridiagonal, vectors: Float64Array): void {
  const n = diagonal.length;
  for (let first = 0; first < n; first += 1) {
    for (let iteration = 0; ; iteration += 1) {
      const last = endOfBlock(diagonal, offDiagonal, first);
      if (last === first) break;
      if (iteration === maxIterationsPerValue) {
        throw new DeviceError(
          'DEVICE_NATIVE_FAILURE',
          `eigh of a ${n} x ${n} matrix: no convergence after ${iteration} iterations`,
        );
      }
      sweep({ diagonal, offDiagonal }, vectors, first, last);
    }
  }
}

/**
 * The end of the block that starts at `first`: where an off-diagonal element is negligible beside
 * its neighbours.
 */
function endOfBlock(diagonal: Float64Array, offDiagonal: Float64Array, first: number): number {
  let last = first;
  for (; last < diagonal.length - 1; last += 1) {
    const scale = Math.abs(diagonal[last] as number) + Math.abs(diagonal[last + 1] as number);
    if (Math.abs(offDiagonal[last] as number) <= Number.EPSILON * scale) break;
  }
  return last;
}

/**
 * One implicit QL step from `last` up to `first`: a chain of Givens rotations that chases the
 * bulge.
 */
function sweep(
  { diagonal: d, offDiagonal: e }: Tridiagonal,
  vectors: Float64Array,
  first: number,
  last: number,
): void {
  const n = d.length;
  const at = (array: Float64Array, i: number) => array[i] as number;
  const half = (at(d, first + 1) - at(d, first)) / (2 * at(e, first));
  const root = Math.hypot(half, 1);
  let g = at(d, last) - at(d, first) + at(e, first) / (half + (half < 0 ? -root : root));
  let [sine, cosine, carried] = [1, 1, 0];
  for (let i = last - 1; i >= first; i -= 1) {
    const f = sine * at(e, i);
    const b = cosine * at(e, i);
    const length = Math.hypot(f, g);
    e[i + 1] = length;
    if (length === 0) {
      d[i + 1] = at(d, i + 1) - carried;
      e[last] = 0;
      return;
    }
    sine = f / length;
    cosine = g / length;
    g = at(d, i + 1) - carried;
    const r = (at(d, i) - g) * sine + 2 * cosine * b;
    carried = sine * r;
    d[i + 1] = g + carried;
    g = cosine * r - b;
    rotateRows(vectors, n, i, cosine, sine);
  }
  d[first] = at(d, first) - carried;
  e[first] = g;
  e[last] = 0;
}

/** Turns rows i and i + 1 of a row-major (n, n) matrix. */
function rotateRows(
  vectors: Float64Array,
  n: number,
  i: number,
  cosine: number,
  sine: number,
): void {
  const start = i * n;
  const end = start + n;
  for (let low = start, high = end; low < end; low += 1, high += 1) {
    const x = vectors[low] as number;
    const y = vectors[high] as number;
    vectors[high] = sine * x + cosine * y;
    vectors[low] = cosine * x - sine * y;
  }
}

function sortInto(a: Float64Array, values: Float64Array, vectors: Float64Array): void {
  const n = values.length;
  const unsorted = values.slice();
  const order = Array.from(unsorted.keys()).sort(
    (i, j) => (unsorted[i] as number) - (unsorted[j] as number) || i - j,
  );
  order.forEach((from, to) => {
    values[to] = unsorted[from] as number;
    a.set(vectors.subarray(from * n, (from + 1) * n), to * n);
  });
}
