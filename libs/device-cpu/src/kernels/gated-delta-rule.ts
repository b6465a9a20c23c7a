import { deltaChunks, type GatedDeltaRuleOptions, type Tensor } from '@emloc/device';

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
  ruleScratchBytes,
  scaleRows,
  solveLower,
  takeRows,
  tile,
  type Bound,
  type ChunkGates,
  type HeadChunk,
  type Rows,
  type RuleSizes,
} from './gated-delta-rule-chunk.js';

export function gatedDeltaRuleScratchBytes(options: GatedDeltaRuleOptions): number {
  return ruleScratchBytes(options, { pairs: 3, keys: 0, values: 1, states: 1 });
}

/**
 * Chunk by chunk of each sequence and value head, U = (I + L)⁻¹ B (V − E K S), out = E Q S + P U
 * and S' = e^G S + Kᵀ T U; names as in the chunked form of arXiv 2412.06464: E, T and D are what
 * the rows' decays leave from the chunk's start, to its end and between two rows, B the strengths,
 * L = B · stril(D ⊙ K Kᵀ), P = tril(D ⊙ Q Kᵀ).
 */
export function gatedDeltaRule(context: CpuContext, options: GatedDeltaRuleOptions): void {
  const sizes = checkRule('gatedDeltaRule', options);
  const run = open(context, options, sizes);
  const { keys, values, keyHeads, valueHeads } = sizes;
  const stateSize = keys * values;
  chunksOf(options.sequences).forEach((chunks, sequence) => {
    for (let head = 0; head < valueHeads; head += 1) {
      const keyHead = Math.floor((head * keyHeads) / valueHeads);
      const place = (sequence * valueHeads + head) * stateSize;
      if (run.initial) run.state.data.set(run.initial.subarray(place, place + stateSize));
      else run.state.data.fill(0);
      for (const chunk of chunks) {
        run.states?.set(run.state.data, (chunk.index * valueHeads + head) * stateSize);
        attendChunk(run, { ...chunk, head, keyHead });
      }
      run.final?.set(run.state.data, place);
    }
  });
}

type Name = 'q' | 'k' | 'v' | 'decay' | 'strength' | 'out';

interface Run {
  readonly bound: Bound;
  readonly sizes: RuleSizes;
  readonly arrays: Readonly<Record<Name, Float32Array>>;
  readonly states: Float32Array | null;
  readonly initial: Float32Array | null;
  readonly final: Float32Array | null;
  /** (keys, values) */
  readonly state: Rows;
  /** (tile, tile) each */
  readonly between: Rows;
  readonly lower: Rows;
  readonly scores: Rows;
  /** (tile, values) */
  readonly written: Rows;
}

function open(context: CpuContext, options: GatedDeltaRuleOptions, sizes: RuleSizes): Run {
  const { q, k, v, decay, strength, out, states, initialState, finalState, sequences } = options;
  const { keys, values, valueHeads } = sizes;
  const state = [valueHeads, keys, values];
  assertShape('gatedDeltaRule', out, v.shape);
  const kept = (tensor: Tensor | null | undefined, count: number): Float32Array | null => {
    if (!tensor) return null;
    assertShape('gatedDeltaRule', tensor, [count, ...state]);
    return float32(tensor);
  };
  const arrays = {
    ...{ q: float32(q), k: float32(k), v: float32(v), out: float32(out) },
    ...{ decay: float32(decay), strength: float32(strength) },
  };
  const count = sequences.offsets.length - 1;
  return {
    ...{
      bound: bind(context.linearAlgebra),
      sizes,
      arrays,
      states: kept(states, deltaChunks(sequences)),
    },
    ...{ initial: kept(initialState, count), final: kept(finalState, count) },
    state: takeRows(context, keys, values),
    between: takeRows(context, tile, tile),
    lower: takeRows(context, tile, tile),
    scores: takeRows(context, tile, tile),
    written: takeRows(context, tile, values),
  };
}

function attendChunk(run: Run, chunk: HeadChunk): void {
  const { arrays, sizes, bound, state, between, lower, scores, written } = run;
  const { keys, values, keyHeads, valueHeads } = sizes;
  const { row, rows, head, keyHead } = chunk;
  const key = { row, head: keyHead, width: keyHeads * keys, headLength: keys };
  const value = { row, head, width: valueHeads * values, headLength: values };
  const [q, k] = [headOf(arrays.q, key), headOf(arrays.k, key)];
  const [v, out] = [headOf(arrays.v, value), headOf(arrays.out, value)];
  const gates = readGates(arrays, chunk, valueHeads, between);
  multiply(bound, [rows, rows, keys], { a: k, b: k, transposeB: true, out: lower });
  multiply(bound, [rows, rows, keys], { a: q, b: k, transposeB: true, out: scores });
  decayPairs({ lower, scores, between }, gates);
  multiply(bound, [rows, values, keys], { a: k, b: state, out: written });
  correct({ v, read: written, out: written }, gates, values);
  solveLower(bound, lower, written, [rows, values]);
  multiply(bound, [rows, values, keys], { a: q, b: state, out });
  scaleRows(out, gates.fromStart, values, out);
  multiply(bound, [rows, values, rows], { a: scores, b: written, out, accumulate: true });
  write(run, k, gates);
}

/** lower = B · stril(D ⊙ lower), scores = tril(D ⊙ scores). */
export function decayPairs(
  { lower, scores, between }: Readonly<Record<'lower' | 'scores' | 'between', Rows>>,
  { strength }: ChunkGates,
): void {
  const rows = strength.length;
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0, at = i * tile; j < rows; j += 1, at += 1) {
      const decay = between.data[at] as number;
      scores.data[at] = j > i ? 0 : decay * (scores.data[at] as number);
      lower.data[at] = j >= i ? 0 : (strength[i] as number) * decay * (lower.data[at] as number);
    }
  }
}

/** out = B (V − E read); `out` may be `read`, and both are packed. */
export function correct(
  { v, read, out }: Readonly<Record<'v' | 'read' | 'out', Rows>>,
  { fromStart, strength }: ChunkGates,
  values: number,
): void {
  for (let i = 0, at = 0; i < strength.length; i += 1) {
    const [share, left, source] = [strength[i] as number, fromStart[i] as number, i * v.stride];
    for (let j = source; j < source + values; j += 1, at += 1)
      out.data[at] = share * ((v.data[j] as number) - left * (read.data[at] as number));
  }
}

/** S = e^G S + Kᵀ T U; `written` is U before and T U after. */
function write({ bound, sizes, state, written }: Run, k: Rows, gates: ChunkGates): void {
  const { keys, values } = sizes;
  scaleRows(written, gates.toEnd, values, written);
  const { data } = state;
  for (let i = 0; i < data.length; i += 1) data[i] = gates.whole * (data[i] as number);
  multiply(bound, [keys, values, gates.toEnd.length], {
    ...{ a: k, transposeA: true, b: written, out: state, accumulate: true },
  });
}
