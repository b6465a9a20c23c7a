import { at } from '@emloc/checked';
import type { LoraAdapter, LoraLayer } from '@emloc/checkpoint';
import type { CarriedOptimizer } from '@emloc/finetune';

/** Where a last level on the original begins. */
export interface LastLevelStart {
  readonly adapter: LoraAdapter;
  /** null: a fresh optimizer. */
  readonly carried: CarriedOptimizer | null;
}

/** What training on emulators has left. */
interface Trained {
  readonly adapter: LoraAdapter;
  readonly steps: number;
  readonly secondMoments: readonly Float32Array[] | null;
}

/**
 * The corrected adapter with AdamW's second moments of the trained one, whose first moments begin
 * at zero. Moments belong to a basis: correction changes that of A, so what was corrected is
 * written in the trained one's again, B' A' = (B' M) A with A' = M A.
 */
export function lastLevelStart(corrected: LoraAdapter, trained: Trained): LastLevelStart {
  const { secondMoments, steps } = trained;
  const adapter = secondMoments && inBasisOf(corrected, trained.adapter);
  if (!secondMoments || !adapter) return { adapter: corrected, carried: null };
  const firstMoments = secondMoments.map((moments) => new Float32Array(moments.length));
  return { adapter, carried: { record: { firstMoments, secondMoments }, steps } };
}

/** null: a layer of `trained` has rows that depend on each other, so that there is no basis. */
function inBasisOf(corrected: LoraAdapter, trained: LoraAdapter): LoraAdapter | null {
  const layers = new Map<string, LoraLayer>();
  for (const [path, layer] of corrected.layers) {
    const basis = trained.layers.get(path);
    if (!basis) return null;
    const b = isSame(layer.a, basis.a) ? layer.b : changedBasis(layer, basis, corrected.rank);
    if (!b) return null;
    layers.set(path, { ...layer, a: basis.a, b });
  }
  return { ...corrected, layers };
}

function isSame(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

/** B' M (out, r) with M = A' Aᵀ (A Aᵀ)⁻¹; null where A Aᵀ has no Cholesky factor. */
function changedBasis(
  { a: corrected, b, inFeatures, outFeatures }: LoraLayer,
  { a }: LoraLayer,
  rank: number,
): Float32Array | null {
  const factor = cholesky(products(a, a, { rank, inFeatures }), rank);
  if (!factor) return null;
  const cross = products(corrected, a, { rank, inFeatures });
  const m = new Float64Array(rank * rank);
  for (let row = 0; row < rank; row += 1)
    m.set(solve(factor, cross.subarray(row * rank, (row + 1) * rank), rank), row * rank);
  const changed = new Float32Array(outFeatures * rank);
  for (let out = 0; out < outFeatures; out += 1)
    for (let column = 0; column < rank; column += 1) {
      let sum = 0;
      for (let k = 0; k < rank; k += 1) sum += at(b, out * rank + k) * at(m, k * rank + column);
      changed[out * rank + column] = sum;
    }
  return changed;
}

/** x yᵀ (r, r) of x, y (r, in), in float64. */
function products(
  x: Float32Array,
  y: Float32Array,
  { rank, inFeatures }: { rank: number; inFeatures: number },
): Float64Array {
  const out = new Float64Array(rank * rank);
  for (let i = 0; i < rank; i += 1)
    for (let j = 0; j < rank; j += 1) {
      let sum = 0;
      for (let k = 0; k < inFeatures; k += 1)
        sum += at(x, i * inFeatures + k) * at(y, j * inFeatures + k);
      out[i * rank + j] = sum;
    }
  return out;
}

/** Share of a diagonal element below which what is left of it is rounding. */
const smallestPivot = 1e-10;

/** L with L Lᵀ = s (n, n); null where s is not definite. */
function cholesky(s: Float64Array, n: number): Float64Array | null {
  const l = new Float64Array(n * n);
  for (let row = 0; row < n; row += 1)
    for (let column = 0; column <= row; column += 1) {
      let sum = at(s, row * n + column);
      for (let k = 0; k < column; k += 1) sum -= at(l, row * n + k) * at(l, column * n + k);
      if (row === column && !(sum > smallestPivot * at(s, row * n + row))) return null;
      l[row * n + column] = row === column ? Math.sqrt(sum) : sum / at(l, column * n + column);
    }
  return l;
}

/** x with L Lᵀ x = y. */
function solve(l: Float64Array, y: Float64Array, n: number): Float64Array {
  const x = Float64Array.from(y);
  for (let row = 0; row < n; row += 1) {
    for (let k = 0; k < row; k += 1) x[row] = at(x, row) - at(l, row * n + k) * at(x, k);
    x[row] = at(x, row) / at(l, row * n + row);
  }
  for (let row = n - 1; row >= 0; row -= 1) {
    for (let k = row + 1; k < n; k += 1) x[row] = at(x, row) - at(l, k * n + row) * at(x, k);
    x[row] = at(x, row) / at(l, row * n + row);
  }
  return x;
}
