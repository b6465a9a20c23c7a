import { tile, type ChunkGates, type HeadChunk, type Rows } from './gated-delta-rule-chunk.js';

/** What the gradients of a chunk's gates are sums of, by row. */
export interface GateTerms extends PairSums {
  /** Y · R. */
  readonly offered: Float64Array;
  /** Through the decay from the chunk's start: of what queries read, and of what keys do. */
  readonly fromQueries: Float64Array;
  readonly fromKeys: Float64Array;
  /** Through the decay to the chunk's end. */
  readonly toState: Float64Array;
  /** Through the decay of the whole chunk. */
  readonly whole: number;
}

export interface PairSums {
  /** Σ_j X_ij (K Kᵀ)_ij */
  readonly corrections: Float64Array;
  /** Through the decays between a row and earlier ones, less those between it and later ones. */
  readonly between: Float64Array;
}

/** Square buffers: D, K Kᵀ, Q Kᵀ, and −Y Uᵀ and dO Uᵀ. */
type Pairs = Readonly<Record<'between' | 'keyPairs' | 'queryPairs' | 'x' | 'z', Rows>>;

/**
 * x becomes B X with X = stril(x) ⊙ D, and z becomes Z = tril(z) ⊙ D. A pair of rows counts with
 * both signs from the same number, so that what cancels in a sum over rows is exact.
 */
export function decayPairGradients(pairs: Pairs, { strength }: ChunkGates): PairSums {
  const rows = strength.length;
  const [corrections, between] = [new Float64Array(rows), new Float64Array(rows)];
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0, at = i * tile; j < rows; j += 1, at += 1) {
      const decay = pairs.between.data[at] as number;
      const x = j >= i ? 0 : decay * (pairs.x.data[at] as number);
      const z = j > i ? 0 : decay * (pairs.z.data[at] as number);
      pairs.x.data[at] = (strength[i] as number) * x;
      pairs.z.data[at] = z;
      if (j >= i) continue;
      const corrected = x * (pairs.keyPairs.data[at] as number);
      const term = (strength[i] as number) * corrected + z * (pairs.queryPairs.data[at] as number);
      corrections[i] = (corrections[i] as number) + corrected;
      between[i] = (between[i] as number) + term;
      between[j] = (between[j] as number) - term;
    }
  }
  return { corrections, between };
}

/**
 * The gradient of a row's decay is the sum of all that decays by it: what is between it or a later
 * row and an earlier one, reads of the chunk's first state from it on, writes before it.
 */
export function writeGateGradients(
  { dDecay, dStrength }: Readonly<Record<'dDecay' | 'dStrength', Float32Array>>,
  { rows, row, head }: HeadChunk,
  { heads, terms }: { readonly heads: number; readonly terms: GateTerms },
): void {
  let writes = terms.whole + terms.toState.reduce((sum, term) => sum + term, 0);
  let reads = 0;
  for (let i = rows - 1; i >= 0; i -= 1) {
    const at = (row + i) * heads + head;
    writes -= terms.toState[i] as number;
    reads += (terms.fromQueries[i] as number) + (terms.fromKeys[i] as number);
    reads += terms.between[i] as number;
    dDecay[at] = writes + reads;
    dStrength[at] = (terms.offered[i] as number) + (terms.corrections[i] as number);
  }
}
