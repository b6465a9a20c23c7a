import { deltaChunks, type GatedDeltaRuleBackwardOptions, type Tensor } from '@emloc/device';

import { assertShape } from '../checks.js';
import type { CpuContext } from '../context.js';
import { float32 } from '../memory.js';
import { headOf } from './attention.js';
import {
  bind,
  checkRule,
  chunksOf,
  multiply,
  readGates,
  rowDots,
  ruleScratchBytes,
  scaleRows,
  solveLower,
  solveLowerTransposed,
  takeRows,
  tile,
  type Bound,
  type ChunkGates,
  type HeadChunk,
  type Rows,
  type RuleSizes,
} from './gated-delta-rule-chunk.js';
import { decayPairGradients, writeGateGradients, type PairSums } from './gated-delta-rule-gates.js';
import { correct, decayPairs } from './gated-delta-rule.js';

export function gatedDeltaRuleBackwardScratchBytes(options: GatedDeltaRuleBackwardOptions): number {
  return ruleScratchBytes(options, { pairs: 7, keys: 1, values: 5, states: 1 });
}

/**
 * Chunk by chunk backwards, U and P once more; names as in the forward, Y = (I + L)⁻ᵀ dU with dU =
 * Pᵀ dO + T K dS', X = −stril(Y Uᵀ) ⊙ D, Z = tril(dO Uᵀ) ⊙ D and dR = B Y:
 *
 *     dV = dR;   dQ = E dO Sᵀ + Z K;   dS = e^G dS' + (E Q)ᵀ dO − (E K)ᵀ dR
 *     dK = B X K − E dR Sᵀ + Zᵀ Q + (B X)ᵀ K + T U dS'ᵀ
 */
export function gatedDeltaRuleBackward(
  context: CpuContext,
  options: GatedDeltaRuleBackwardOptions,
): void {
  const sizes = checkRule('gatedDeltaRuleBackward', options);
  const run = open(context, options, sizes);
  const { keys, values, keyHeads, valueHeads } = sizes;
  const stateSize = keys * values;
  const group = valueHeads / keyHeads;
  chunksOf(options.sequences).forEach((chunks, sequence) => {
    for (let head = 0; head < valueHeads; head += 1) {
      const [keyHead, isFirst] = [Math.floor(head / group), head % group === 0];
      const place = (sequence * valueHeads + head) * stateSize;
      if (run.final) run.dState.data.set(run.final.subarray(place, place + stateSize));
      else run.dState.data.fill(0);
      for (const chunk of chunks.toReversed()) {
        const state = (chunk.index * valueHeads + head) * stateSize;
        pullBackChunk(run, {
          chunk: { ...chunk, head, keyHead },
          state: { data: run.states.subarray(state, state + stateSize), stride: values },
          isFirst,
        });
      }
      run.initial?.set(run.dState.data, place);
    }
  });
}

const names = ['q', 'k', 'v', 'decay', 'strength', 'dOut'] as const;
const gradientNames = ['dQ', 'dK', 'dV', 'dDecay', 'dStrength'] as const;
type Name = (typeof names)[number] | (typeof gradientNames)[number];

interface Run extends Readonly<Record<Buffer, Rows>> {
  readonly bound: Bound;
  readonly sizes: RuleSizes;
  readonly arrays: Readonly<Record<Name, Float32Array>>;
  readonly states: Float32Array;
  readonly final: Float32Array | null;
  readonly initial: Float32Array | null;
}

/** Square buffers: D, K Kᵀ, Q Kᵀ, L, P, B X and Z. */
const pairBuffers = ['between', 'keyPairs', 'queryPairs', 'lower', 'scores', 'x', 'z'] as const;
/** Buffers of rows of values: E K S and then E dO, U, dU and then Y, T K dS', E dR. */
const valueBuffers = ['read', 'written', 'y', 'toState', 'fading'] as const;
type Buffer = (typeof pairBuffers)[number] | (typeof valueBuffers)[number] | 'keyRows' | 'dState';

function open(context: CpuContext, options: GatedDeltaRuleBackwardOptions, sizes: RuleSizes): Run {
  const { states, dFinalState, dInitialState, sequences } = options;
  const { keys, values, valueHeads } = sizes;
  const kernel = 'gatedDeltaRuleBackward';
  for (const name of ['dQ', 'dK'] as const) assertShape(kernel, options[name], options.q.shape);
  for (const name of ['dOut', 'dV'] as const) assertShape(kernel, options[name], options.v.shape);
  for (const name of ['dDecay', 'dStrength'] as const)
    assertShape(kernel, options[name], options.decay.shape);
  const kept = (tensor: Tensor, count: number): Float32Array => {
    assertShape(kernel, tensor, [count, valueHeads, keys, values]);
    return float32(tensor);
  };
  const count = sequences.offsets.length - 1;
  const take = (buffers: readonly Buffer[], rows: number, columns: number) =>
    buffers.map((buffer) => [buffer, takeRows(context, rows, columns)]);
  const buffers = Object.fromEntries([
    ...take(pairBuffers, tile, tile),
    ...take(valueBuffers, tile, values),
    ...take(['keyRows'], tile, keys),
    ...take(['dState'], keys, values),
  ]) as Record<Buffer, Rows>;
  return {
    ...buffers,
    bound: bind(context.linearAlgebra),
    sizes,
    arrays: Object.fromEntries(
      [...names, ...gradientNames].map((name) => [name, float32(options[name])]),
    ) as Record<Name, Float32Array>,
    states: kept(states, deltaChunks(sequences)),
    final: dFinalState ? kept(dFinalState, count) : null,
    initial: dInitialState ? kept(dInitialState, count) : null,
  };
}

/** One head's part of a chunk. */
interface Part {
  readonly chunk: HeadChunk;
  /** At the chunk's start, (keys, values). */
  readonly state: Rows;
  /** Whether no value head of this key head came before. */
  readonly isFirst: boolean;
}

type Heads = Readonly<Record<'q' | 'k' | 'dQ' | 'dK' | 'v' | 'dOut' | 'dV', Rows>>;

function headsOf({ arrays, sizes }: Run, { row, head, keyHead }: HeadChunk): Heads {
  const { keys, values, keyHeads, valueHeads } = sizes;
  const key = { row, head: keyHead, width: keyHeads * keys, headLength: keys };
  const value = { row, head, width: valueHeads * values, headLength: values };
  return {
    q: headOf(arrays.q, key),
    k: headOf(arrays.k, key),
    dQ: headOf(arrays.dQ, key),
    dK: headOf(arrays.dK, key),
    v: headOf(arrays.v, value),
    dOut: headOf(arrays.dOut, value),
    dV: headOf(arrays.dV, value),
  };
}

function pullBackChunk(run: Run, { chunk, state, isFirst }: Part): void {
  const heads = headsOf(run, chunk);
  const gates = readGates(run.arrays, chunk, run.sizes.valueHeads, run.between);
  solveAgain(run, heads, gates, state);
  const offered = pullBackWritten(run, heads, gates);
  const pairs = pullBackPairs(run, heads, gates);
  const fromQueries = pullBackQueries(run, heads, gates, { state, isFirst });
  const whole = gates.whole * dot(state.data, run.dState.data);
  const toState = rowDots(run.written, run.toState, [chunk.rows, run.sizes.values]);
  const fromKeys = pullBackKeys(run, heads, gates, { state, isFirst });
  pullBackState(run, heads, gates);
  const terms = { ...pairs, offered, fromQueries, fromKeys, toState, whole };
  writeGateGradients(run.arrays, chunk, { heads: run.sizes.valueHeads, terms });
}

/** K Kᵀ, Q Kᵀ, L, P, E K S and U. */
function solveAgain(run: Run, { q, k, v }: Heads, gates: ChunkGates, state: Rows): void {
  const { bound, sizes, keyPairs, queryPairs, lower, scores, between, read, written } = run;
  const { keys, values } = sizes;
  const rows = gates.fromStart.length;
  multiply(bound, [rows, rows, keys], { a: k, b: k, transposeB: true, out: keyPairs });
  multiply(bound, [rows, rows, keys], { a: q, b: k, transposeB: true, out: queryPairs });
  for (const [source, target] of [
    [keyPairs, lower],
    [queryPairs, scores],
  ] as const)
    target.data.set(source.data.subarray(0, rows * tile));
  decayPairs({ lower, scores, between }, gates);
  multiply(bound, [rows, values, keys], { a: k, b: state, out: read });
  correct({ v, read, out: written }, gates, values);
  solveLower(bound, lower, written, [rows, values]);
}

/** T K dS', Y and dV = B Y; gives Y · R of every row, R = V − E K S. */
function pullBackWritten(
  run: Run,
  { k, v, dOut, dV }: Heads,
  { toEnd, fromStart, strength }: ChunkGates,
): Float64Array {
  const { bound, sizes, toState, dState, scores, lower, read, y } = run;
  const { keys, values } = sizes;
  const rows = toEnd.length;
  multiply(bound, [rows, values, keys], { a: k, b: dState, out: toState });
  scaleRows(toState, toEnd, values, toState);
  y.data.set(toState.data.subarray(0, rows * values));
  multiply(bound, [rows, values, rows], {
    ...{ a: scores, transposeA: true, b: dOut, out: y, accumulate: true },
  });
  solveLowerTransposed(bound, lower, y, [rows, values]);
  scaleRows(y, strength, values, dV);
  const [offered, taken] = [v, read].map((x) => rowDots(y, x, [rows, values])) as [
    Float64Array,
    Float64Array,
  ];
  return offered.map((dotted, i) => dotted - (fromStart[i] as number) * (taken[i] as number));
}

/** B X and Z. */
function pullBackPairs(run: Run, { dOut }: Heads, gates: ChunkGates): PairSums {
  const { bound, sizes, y, written, x, z } = run;
  const rows = gates.strength.length;
  const size = [rows, rows, sizes.values] as const;
  multiply(bound, size, { a: y, b: written, transposeB: true, out: x, alpha: -1 });
  multiply(bound, size, { a: dOut, b: written, transposeB: true, out: z });
  return decayPairGradients(run, gates);
}

/** dQ; gives q · E dO Sᵀ of every row. Leaves E dO in `read`. */
function pullBackQueries(
  run: Run,
  { q, k, dOut, dQ }: Heads,
  { fromStart }: ChunkGates,
  { state, isFirst }: Omit<Part, 'chunk'>,
): Float64Array {
  const { bound, sizes, read, keyRows, z } = run;
  const { keys, values } = sizes;
  const rows = fromStart.length;
  scaleRows(dOut, fromStart, values, read);
  multiply(bound, [rows, keys, values], { a: read, b: state, transposeB: true, out: keyRows });
  const dots = rowDots(q, keyRows, [rows, keys]);
  multiply(bound, [rows, keys, rows], { a: z, b: k, out: keyRows, accumulate: true });
  putRows(keyRows, dQ, { rows, columns: keys, isFirst });
  return dots;
}

/** dK; gives −k · E dR Sᵀ of every row. Leaves E dR in `fading` and T U in `written`. */
function pullBackKeys(
  run: Run,
  { q, k, dK, dV }: Heads,
  { fromStart, toEnd }: ChunkGates,
  { state, isFirst }: Omit<Part, 'chunk'>,
): Float64Array {
  const { bound, sizes, fading, written, keyRows: out, x, z, dState } = run;
  const { keys, values } = sizes;
  const rows = fromStart.length;
  scaleRows(dV, fromStart, values, fading);
  const back = { b: state, transposeB: true, out };
  multiply(bound, [rows, keys, values], { a: fading, ...back, alpha: -1 });
  const dots = rowDots(k, out, [rows, keys]);
  const added = { out, accumulate: true };
  multiply(bound, [rows, keys, rows], { a: x, b: k, ...added });
  multiply(bound, [rows, keys, rows], { a: x, transposeA: true, b: k, ...added });
  multiply(bound, [rows, keys, rows], { a: z, transposeA: true, b: q, ...added });
  scaleRows(written, toEnd, values, written);
  multiply(bound, [rows, keys, values], { a: written, b: dState, transposeB: true, ...added });
  putRows(out, dK, { rows, columns: keys, isFirst });
  return dots;
}

/** dS = e^G dS' + Qᵀ E dO − Kᵀ E dR */
function pullBackState(
  { bound, sizes: { keys, values }, dState, read, fading }: Run,
  { q, k }: Heads,
  { whole, fromStart }: ChunkGates,
): void {
  const { data } = dState;
  for (let i = 0; i < data.length; i += 1) data[i] = whole * (data[i] as number);
  const size = [keys, values, fromStart.length] as const;
  const added = { transposeA: true, out: dState, accumulate: true };
  multiply(bound, size, { a: q, b: read, ...added });
  multiply(bound, size, { a: k, b: fading, ...added, alpha: -1 });
}

function putRows(
  x: Rows,
  out: Rows,
  { rows, columns, isFirst }: { rows: number; columns: number; isFirst: boolean },
): void {
  for (let i = 0; i < rows; i += 1) {
    const [source, target] = [i * x.stride, i * out.stride];
    for (let j = 0; j < columns; j += 1) {
      const value = x.data[source + j] as number;
      out.data[target + j] = isFirst ? value : (out.data[target + j] as number) + value;
    }
  }
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
