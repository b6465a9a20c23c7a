/**
 * Householder reduction of the symmetric row-major `a` (n, n; destroyed) to tridiagonal form: fills
 * diagonal and offDiagonal (n, element i between i and i + 1) and returns Qᵀ (n, n) with a = Q T Qᵀ
 * (Golub and Van Loan, Matrix Computations, algorithm 8.3.1).
 */
export function tridiagonalize(
  a: Float64Array,
  { diagonal, offDiagonal }: { diagonal: Float64Array; offDiagonal: Float64Array },
): Float64Array {
  const n = diagonal.length;
  const product = new Float64Array(n);
  const factors = new Float64Array(n);
  for (let k = 0; k < n - 1; k += 1) {
    factors[k] = makeReflector(a, n, k, offDiagonal);
    if (factors[k] !== 0) reflectBothSides(a, n, k, factors[k] as number, product);
  }
  for (let i = 0; i < n; i += 1) diagonal[i] = a[i * n + i] as number;
  return accumulateReflectors(a, n, factors, product);
}

/**
 * Row k right of the diagonal becomes the vector v of I − β v vᵀ, v[k + 1] included; returns β, 0
 * for nothing to do.
 */
function makeReflector(a: Float64Array, n: number, k: number, offDiagonal: Float64Array): number {
  const start = k * n + k + 1;
  const end = (k + 1) * n;
  let largest = 0;
  for (let i = start; i < end; i += 1) largest = Math.max(largest, Math.abs(a[i] as number));
  const head = a[start] as number;
  offDiagonal[k] = head;
  if (largest === 0 || end - start === 1) return 0;
  let sum = 0;
  for (let i = start; i < end; i += 1) sum += ((a[i] as number) / largest) ** 2;
  const norm = largest * Math.sqrt(sum);
  const image = head > 0 ? -norm : norm;
  offDiagonal[k] = image;
  // v is scaled so that v[k + 1] = 1: its other elements stay below 1.
  const pivot = head - image;
  for (let i = start + 1; i < end; i += 1) a[i] = (a[i] as number) / pivot;
  a[start] = 1;
  return -pivot / image;
}

/** The trailing matrix becomes H a H: a − v wᵀ − w vᵀ with p = β a v, w = p − (β pᵀv / 2) v. */
function reflectBothSides(
  a: Float64Array,
  n: number,
  k: number,
  beta: number,
  w: Float64Array,
): void {
  const v = k * n;
  let dot = 0;
  for (let i = k + 1; i < n; i += 1) {
    let sum = 0;
    for (let j = k + 1, row = i * n; j < n; j += 1)
      sum += (a[row + j] as number) * (a[v + j] as number);
    w[i] = beta * sum;
    dot += beta * sum * (a[v + i] as number);
  }
  const shift = (beta * dot) / 2;
  for (let i = k + 1; i < n; i += 1) w[i] = (w[i] as number) - shift * (a[v + i] as number);
  for (let i = k + 1; i < n; i += 1) {
    const [vi, wi] = [a[v + i] as number, w[i] as number];
    for (let j = k + 1, row = i * n; j < n; j += 1) {
      a[row + j] = (a[row + j] as number) - vi * (w[j] as number) - wi * (a[v + j] as number);
    }
  }
}

/**
 * Qᵀ = H(n − 2) … H(0), built from the last reflector on, so that each touches only the trailing
 * matrix.
 */
function accumulateReflectors(
  a: Float64Array,
  n: number,
  factors: Float64Array,
  product: Float64Array,
): Float64Array {
  const q = new Float64Array(n * n);
  for (let i = 0; i < n; i += 1) q[i * n + i] = 1;
  for (let k = n - 2; k >= 0; k -= 1) {
    const beta = factors[k] as number;
    if (beta !== 0) reflectRight(q, n, k, beta, { a, product });
  }
  return q;
}

/** Trailing q becomes q H: rows of q are transposed columns, so qᵀ = H qᵀ. */
function reflectRight(
  q: Float64Array,
  n: number,
  k: number,
  beta: number,
  { a, product }: { a: Float64Array; product: Float64Array },
): void {
  const v = k * n;
  for (let i = k + 1; i < n; i += 1) {
    const row = i * n;
    let sum = 0;
    for (let j = k + 1; j < n; j += 1) sum += (q[row + j] as number) * (a[v + j] as number);
    product[i] = beta * sum;
  }
  for (let i = k + 1; i < n; i += 1) {
    const row = i * n;
    const factor = product[i] as number;
    for (let j = k + 1; j < n; j += 1)
      q[row + j] = (q[row + j] as number) - factor * (a[v + j] as number);
  }
}
