import { at } from '@emloc/checked';
import type { AttentionMask } from '@emloc/device';

export interface AttentionShape {
  readonly lengths: readonly number[];
  /** The longest sequence that launches are made for. Default: that of the lengths. */
  readonly longest?: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headLength: number;
  readonly scale: number;
  readonly mask?: AttentionMask;
  readonly softCap?: number;
  /** One more score of every head's softmax, which no value belongs to. */
  readonly sinks?: readonly number[];
  /** (2 · reach + 1, heads): added to a score, by the key's distance from the query. */
  readonly relativeBias?: readonly number[];
  /** Whether only the last query of each sequence counts; outputs of the others are zero. */
  readonly lastOnly?: boolean;
}

export interface AttentionInputs {
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
}

export type AttentionGradients = Readonly<Record<'dQ' | 'dK' | 'dV', Float64Array>>;

/** A query of one head: where its vector and those of its keys begin. */
interface Query {
  readonly row: number;
  readonly head: number;
  readonly start: number;
  readonly keys: readonly number[];
  /** Of each key: its position less that of the query. */
  readonly distances: readonly number[];
}

function attends(mask: AttentionMask, query: number, key: number): boolean {
  if (mask.kind === 'none') return true;
  return key <= query && (mask.kind === 'causal' || query - mask.window < key);
}

function queries(shape: AttentionShape): Query[] {
  const { lengths, heads, kvHeads, headLength, mask = { kind: 'causal' }, lastOnly } = shape;
  const result: Query[] = [];
  let first = 0;
  for (const length of lengths) {
    const begin = lastOnly === true ? first + length - 1 : first;
    for (let row = begin; row < first + length; row += 1) {
      const positions: number[] = [];
      for (let key = 0; key < length; key += 1)
        if (attends(mask, row - first, key)) positions.push(key);
      const distances = positions.map((key) => key - (row - first));
      for (let head = 0; head < heads; head += 1) {
        const keyHead = Math.floor(head / (heads / kvHeads));
        const keys = positions.map((key) => ((first + key) * kvHeads + keyHead) * headLength);
        result.push({ row, head, start: (row * heads + head) * headLength, keys, distances });
      }
    }
    first += length;
  }
  return result;
}

function product(
  a: Float64Array,
  aStart: number,
  b: Float64Array,
  bStart: number,
  length: number,
): number {
  let sum = 0;
  for (let i = 0; i < length; i += 1) sum += (a[aStart + i] as number) * (b[bStart + i] as number);
  return sum;
}

function biasOf(
  table: readonly number[],
  { heads, head }: { readonly heads: number; readonly head: number },
  distance: number,
): number {
  const reach = (table.length / heads - 1) / 2;
  return at(table, (reach + Math.min(Math.max(distance, -reach), reach)) * heads + head);
}

/** log Σ exp of a query's scores, their softmax, and the slope of the soft cap at each. */
function probabilities(
  { q, k }: AttentionInputs,
  { head, start, keys, distances }: Query,
  { heads, headLength, scale, softCap, sinks, relativeBias }: AttentionShape,
) {
  const products = keys.map((key) => scale * product(q, start, k, key, headLength));
  const tanhs = softCap === undefined ? [] : products.map((score) => Math.tanh(score / softCap));
  const capped = softCap === undefined ? products : tanhs.map((tanh) => softCap * tanh);
  const scores = relativeBias
    ? capped.map((score, j) => score + biasOf(relativeBias, { heads, head }, at(distances, j)))
    : capped;
  const all = sinks ? [...scores, at(sinks, head)] : scores;
  const largest = Math.max(...all);
  const logSumExp =
    largest + Math.log(all.reduce((sum, score) => sum + Math.exp(score - largest), 0));
  return {
    logSumExp,
    weights: scores.map((score) => Math.exp(score - logSumExp)),
    slopes: softCap === undefined ? scores.map(() => 1) : tanhs.map((tanh) => 1 - tanh * tanh),
  };
}

/** Softmax attention, query by query. logSumExp is (heads, rows). */
export function attention(
  inputs: AttentionInputs,
  shape: AttentionShape,
): { out: Float64Array; logSumExp: Float64Array } {
  const { heads, headLength, lengths } = shape;
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const out = new Float64Array(rows * heads * headLength);
  const logSumExp = new Float64Array(heads * rows);
  for (const query of queries(shape)) {
    const result = probabilities(inputs, query, shape);
    logSumExp[query.head * rows + query.row] = result.logSumExp;
    query.keys.forEach((key, j) =>
      axpy(result.weights[j] as number, inputs.v, key, out, query.start, headLength),
    );
  }
  return { out, logSumExp };
}

/** Its gradients: dS = P (dOut · v − Σ P dOut · v) · slope · scale. */
export function attentionBackward(
  inputs: AttentionInputs,
  dOut: Float64Array,
  shape: AttentionShape,
): AttentionGradients {
  const { headLength, scale } = shape;
  const dQ = new Float64Array(inputs.q.length);
  const dK = new Float64Array(inputs.k.length);
  const dV = new Float64Array(inputs.v.length);
  for (const query of queries(shape)) {
    const { weights, slopes } = probabilities(inputs, query, shape);
    const dWeights = query.keys.map((key) => product(dOut, query.start, inputs.v, key, headLength));
    const mean = weights.reduce((sum, weight, j) => sum + weight * (dWeights[j] as number), 0);
    query.keys.forEach((key, j) => {
      const weight = weights[j] as number;
      const dScore = weight * ((dWeights[j] as number) - mean) * at(slopes, j) * scale;
      axpy(dScore, inputs.k, key, dQ, query.start, headLength);
      axpy(dScore, inputs.q, query.start, dK, key, headLength);
      axpy(weight, dOut, query.start, dV, key, headLength);
    });
  }
  return { dQ, dK, dV };
}

function axpy(
  factor: number,
  x: Float64Array,
  xStart: number,
  y: Float64Array,
  yStart: number,
  length: number,
): void {
  for (let i = 0; i < length; i += 1)
    y[yStart + i] = (y[yStart + i] as number) + factor * (x[xStart + i] as number);
}
