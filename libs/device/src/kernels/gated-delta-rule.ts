import { at } from '@emloc/checked';

import { assertLive, assertSequences, assertShape, matrix } from '../checks.js';
import { DeviceError } from '../errors.js';
import type { LaunchedKernel } from '../kernel.js';
import { probeRows, probeSequences, type ProbeOperands, type ProbeShape } from '../probe.js';
import type { SequenceLayout } from '../sequence-layout.js';
import type { Tensor } from '../tensor.js';
import { bytesOf, type Work } from '../work.js';

/** Rows of a chunk, counted from each sequence's start; its last chunk may be shorter. */
export const deltaChunkRows = 64;

/**
 * Linear attention with a state of keys by values, which decays and is corrected towards each row's
 * value (Gated Delta Networks, arXiv 2412.06464). For each value head and sequence, row by row:
 *
 *     S̄ = exp(decay) S;   u = strength · (v − S̄ᵀ k);   S = S̄ + k uᵀ;   out = Sᵀ q
 *
 * Value head h reads the queries and keys of key head floor(h · keyHeads / valueHeads). State,
 * decay and all that is solved for in float32 or better.
 */
export interface GatedDeltaRuleOptions {
  /** (N, keyHeads · dk), scaled */
  readonly q: Tensor;
  readonly k: Tensor;
  /** (N, valueHeads · dv) */
  readonly v: Tensor;
  /** (N, valueHeads) float32, each ≤ 0 */
  readonly decay: Tensor;
  /** (N, valueHeads) float32 */
  readonly strength: Tensor;
  readonly sequences: SequenceLayout;
  readonly keyHeads: number;
  readonly valueHeads: number;
  /** (N, valueHeads · dv) */
  readonly out: Tensor;
  /**
   * (chunks, valueHeads, dk, dv) float32, for the backward: the state at the start of every chunk,
   * sequences one after another. Null: no backward follows.
   */
  readonly states: Tensor | null;
  /** (S, valueHeads, dk, dv) float32; default zeros. */
  readonly initialState?: Tensor;
  /** The same, overwritten: the state after each sequence's last row. May be `initialState`. */
  readonly finalState?: Tensor;
}

export interface GatedDeltaRuleBackwardOptions extends Omit<
  GatedDeltaRuleOptions,
  'out' | 'states' | 'initialState' | 'finalState'
> {
  readonly states: Tensor;
  /** (N, valueHeads · dv) */
  readonly dOut: Tensor;
  /** (S, valueHeads, dk, dv) float32; default zeros. */
  readonly dFinalState?: Tensor;
  /**
   * Overwritten; shapes of q, k and v. A key head's are sums over its value heads in a fixed order.
   */
  readonly dQ: Tensor;
  readonly dK: Tensor;
  readonly dV: Tensor;
  /** (N, valueHeads) float32, overwritten. */
  readonly dDecay: Tensor;
  readonly dStrength: Tensor;
  /** (S, valueHeads, dk, dv) float32, overwritten. */
  readonly dInitialState?: Tensor;
}

/**
 * Counted by what the chunked form multiplies: the products of a chunk's rows with its state or the
 * state's gradient, three forward and seven backward, and those of pairs of its rows, two of keys'
 * length and two of values' length forward, six and five backward.
 */
export const gatedDeltaRule: LaunchedKernel<GatedDeltaRuleOptions> = {
  work(options) {
    const { q, k, v, decay, strength, out, states, initialState, finalState } = options;
    const sizes = check('gatedDeltaRule', options);
    assertShape('gatedDeltaRule', out, v.shape);
    const kept = [initialState, finalState].filter((tensor) => tensor !== undefined);
    for (const tensor of kept)
      assertShape('gatedDeltaRule', tensor, [sizes.sequences, ...sizes.state]);
    if (states) assertShape('gatedDeltaRule', states, [sizes.chunks, ...sizes.state]);
    const operands = [q, k, v, decay, strength, out, ...(states ? [states] : []), ...kept];
    return counted(sizes, { state: 3, keys: 2, values: 2 }, operands);
  },
  probe: {
    boundBy: 'arithmetic',
    prepare: (operands, shape) => ({ options: probeOptions(operands, shape) }),
  },
};

export const gatedDeltaRuleBackward: LaunchedKernel<GatedDeltaRuleBackwardOptions> = {
  work(options) {
    const { q, k, v, decay, strength, states, dOut, dQ, dK, dV, dDecay, dStrength } = options;
    const kernel = 'gatedDeltaRuleBackward';
    const sizes = check(kernel, options);
    for (const tensor of [dQ, dK]) assertShape(kernel, tensor, q.shape);
    for (const tensor of [dOut, dV]) assertShape(kernel, tensor, v.shape);
    for (const tensor of [dDecay, dStrength]) assertShape(kernel, tensor, decay.shape);
    assertShape(kernel, states, [sizes.chunks, ...sizes.state]);
    const ends = [options.dFinalState, options.dInitialState].filter((end) => end !== undefined);
    for (const tensor of ends) assertShape(kernel, tensor, [sizes.sequences, ...sizes.state]);
    const gradients = [dOut, dQ, dK, dV, dDecay, dStrength, ...ends];
    const operands = [q, k, v, decay, strength, states, ...gradients];
    return counted(sizes, { state: 7, keys: 6, values: 5 }, operands);
  },
  probe: {
    boundBy: 'arithmetic',
    prepare: (operands, shape) => {
      const { out: dOut, states, ...options } = probeOptions(operands, shape);
      const [dQ, dK, dV] = [options.q, options.k, options.v].map((each) =>
        operands.tensor(each.shape),
      ) as [Tensor, Tensor, Tensor];
      const [dDecay, dStrength] = [options.decay, options.strength].map((each) =>
        operands.tensor(each.shape, 'float32'),
      ) as [Tensor, Tensor];
      return { options: { ...options, states, dOut, dQ, dK, dV, dDecay, dStrength } };
    },
  },
};

/** Chunks of all sequences; of replaceable ones as many as there may be. */
export function deltaChunks({ offsets, isReplaceable = false }: SequenceLayout): number {
  return isReplaceable ? mostDeltaChunks(offsets) : chunkLengths(offsets).length;
}

/** Chunks that as many sequences of as many rows in all may have. */
export function mostDeltaChunks(offsets: readonly number[]): number {
  const sequences = offsets.length - 1;
  return Math.floor(((offsets.at(-1) ?? 0) + (deltaChunkRows - 1) * sequences) / deltaChunkRows);
}

/** Rows of every chunk. */
function chunkLengths(offsets: readonly number[]): readonly number[] {
  return offsets.slice(1).flatMap((end, index) => {
    const rows = end - at(offsets, index);
    return Array.from({ length: Math.ceil(rows / deltaChunkRows) }, (_, chunk) =>
      Math.min(deltaChunkRows, rows - chunk * deltaChunkRows),
    );
  });
}

interface RuleSizes {
  readonly sequences: number;
  readonly chunks: number;
  /** Σ over chunks of rows · (rows + 1) / 2 */
  readonly pairs: number;
  readonly rows: number;
  /** valueHeads, dk, dv */
  readonly state: readonly [number, number, number];
}

/** Operands that the rule and its backward share. */
function check(
  kernel: 'gatedDeltaRule' | 'gatedDeltaRuleBackward',
  options: Omit<GatedDeltaRuleOptions, 'out' | 'states'>,
): RuleSizes {
  const { q, k, v, decay, strength, sequences, keyHeads, valueHeads } = options;
  const [[rows, keyWidth], [, valueWidth]] = [matrix(kernel, q), matrix(kernel, v)];
  const [keys, values] = [keyWidth / keyHeads, valueWidth / valueHeads];
  if (![keys, values, valueHeads / keyHeads].every(Number.isInteger)) {
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `${kernel}: ${keyHeads} key heads of ${keyWidth} columns and ${valueHeads} value heads of ${valueWidth} do not divide each other`,
    );
  }
  const count = assertSequences(kernel, sequences, rows);
  assertShape(kernel, k, q.shape);
  assertShape(kernel, v, [rows, valueWidth]);
  for (const tensor of [decay, strength]) assertShape(kernel, tensor, [rows, valueHeads]);
  const lengths = chunkLengths(sequences.offsets);
  const pairs = lengths.reduce((sum, length) => sum + (length * (length + 1)) / 2, 0);
  const state = [valueHeads, keys, values] as const;
  return { sequences: count, chunks: deltaChunks(sequences), pairs, rows, state };
}

/** Products by kind: of rows with a state, and of pairs of rows over keys or values. */
function counted(
  { rows, pairs, state: [heads, keys, values] }: RuleSizes,
  products: { readonly state: number; readonly keys: number; readonly values: number },
  operands: readonly Tensor[],
): Work {
  assertLive(...operands);
  const byState = products.state * rows * keys * values;
  const byPairs = pairs * (products.keys * keys + products.values * values);
  return { flops: 2 * heads * (byState + byPairs), bytes: bytesOf(...operands) };
}

function probeOptions(
  operands: ProbeOperands,
  shape: ProbeShape,
): GatedDeltaRuleOptions & { readonly states: Tensor } {
  const { tensor } = operands;
  const { heads, headDim } = shape;
  const rows = probeRows(shape);
  const [q, k, v, out] = [0, 1, 2, 3].map(() => tensor([rows, heads * headDim])) as [
    Tensor,
    Tensor,
    Tensor,
    Tensor,
  ];
  const [decay, strength] = [tensor([rows, heads], 'float32'), tensor([rows, heads], 'float32')];
  const sequences = probeSequences(operands, shape);
  const states = tensor([deltaChunks(sequences), heads, headDim, headDim], 'float32');
  const sizes = { sequences, keyHeads: heads, valueHeads: heads };
  return { q, k, v, decay, strength, ...sizes, out, states };
}
