import { at } from '@emloc/checked';
import type {
  AttentionOptions,
  DeviceProfile,
  KernelOptions,
  SequenceLayout,
  Tensor,
  WorkspaceBytes,
} from '@emloc/device';

import { tileRows } from './kernels/attention.js';

/** Constants that kernels hand to TensorFlow. */
const scalarBytes = 64;

/**
 * What a kernel makes on the way, its results included: tensors are immutable, so the old contents
 * of an output live until the new ones are complete. Counted in tensors of TensorFlow.js; what its
 * operations take inside them is TensorFlow's own.
 */
const workspaceBytes: WorkspaceBytes = Object.freeze({
  gemm: ({ out, alpha = 1, accumulate = false }: KernelOptions<'gemm'>) =>
    bytes(out.size * (1 + Number(alpha !== 1) + Number(accumulate))),
  outerProducts: ({ products }: KernelOptions<'outerProducts'>) =>
    bytes(
      sum(products.map(({ left, leftColumns, out }) => left.dim(0) * leftColumns + 3 * out.size)),
    ),
  gram: ({ out }: KernelOptions<'gram'>) => bytes(5 * out.size),
  rmsNorm: ({ x, inverseRms, weightOffset }: KernelOptions<'rmsNorm'>) =>
    bytes(3 * x.size + 4 * inverseRms.size + (weightOffset ? x.dim(-1) : 0)),
  rmsNormBackward: (options: KernelOptions<'rmsNormBackward'>) =>
    bytes(
      (5 + Number(options.accumulate ?? false) + (options.out ? 2 : 0)) * options.x.size +
        3 * options.inverseRms.size +
        (options.weightOffset ? options.x.dim(-1) : 0),
    ),
  layerNorm: ({ x, mean }: KernelOptions<'layerNorm'>) => bytes(6 * x.size + 7 * mean.size),
  layerNormBackward: ({ x, mean, accumulate }: KernelOptions<'layerNormBackward'>) =>
    bytes((9 + Number(accumulate ?? false)) * x.size + 4 * mean.size),
  groupNorm: ({ x }: KernelOptions<'groupNorm'>) => bytes(6 * x.size),
  rope: ({ x, positions, cos }: KernelOptions<'rope'>) =>
    bytes(5 * x.size + 3 * positions.size * cos.dim(1)),
  attention: (options: KernelOptions<'attention'>) =>
    bytes(
      attentionElements(options, {
        tiles: 6 + capped(options, 1) + (options.relativeBias ? 1 : 0),
        rows: 6,
        sequenceRows: 2,
      }),
    ),
  attentionBackward: (options: KernelOptions<'attentionBackward'>) =>
    bytes(
      attentionElements(options, { tiles: 9 + capped(options, 8), rows: 16, sequenceRows: 10 }),
    ),
  decodeAttention: (options: KernelOptions<'decodeAttention'>) =>
    bytes(decodeAttentionElements(options)),
  activation: ({ out, kind }: KernelOptions<'activation'>) =>
    bytes((activationTensors[kind].share + 1) * out.size),
  activationBackward: ({ x, kind, accumulate }: KernelOptions<'activationBackward'>) =>
    bytes((slopeTensors(kind) + 1 + Number(accumulate ?? false)) * x.size),
  gatedActivation: ({ out, kind }: KernelOptions<'gatedActivation'>) =>
    bytes((activationTensors[kind].share + 2 + (kind === 'clampedSwiglu' ? 3 : 0)) * out.size),
  gatedActivationBackward: ({ dOut, out, kind }: KernelOptions<'gatedActivationBackward'>) =>
    bytes(
      (slopeTensors(kind) + 4 + (out ? 1 : 0) + (kind === 'clampedSwiglu' ? 8.5 : 0)) * dOut.size,
    ),
  gatherRows: ({ out }: KernelOptions<'gatherRows'>) => bytes(out.size),
  gatherPatches: ({ x, out, size }: KernelOptions<'gatherPatches'>) =>
    bytes(x.size + x.dim(1) + 2 * out.size + out.dim(0) * size ** 2),
  scatterRows: ({ x, out }: KernelOptions<'scatterRows'>) =>
    bytes(2 * out.size + x.size + out.dim(0)),
  copyBlocks: ({ copies }: KernelOptions<'copyBlocks'>) =>
    bytes(
      Math.max(0, ...copies.map(({ x, columns, out }) => 2 * x.dim(0) * columns + 5 * out.size)),
    ),
  crossEntropy: crossEntropyBytes,
  add: ({ out, alpha = 1 }: KernelOptions<'add'>) => bytes(out.size * (1 + Number(alpha !== 1))),
  addBias: ({ out }: KernelOptions<'addBias'>) => bytes(out.size),
  fill: ({ out }: KernelOptions<'fill'>) => bytes(out.size),
  scale: ({ out }: KernelOptions<'scale'>) => bytes(out.size),
  scaleBy: ({ out }: KernelOptions<'scaleBy'>) => bytes(out.size),
  doraGate: ({ gate }: KernelOptions<'doraGate'>) => bytes(gate.size + 3 * gate.dim(1)),
  doraGateBackward: ({ dGate }: KernelOptions<'doraGateBackward'>) =>
    bytes(dGate.size + dGate.dim(1)),
  dropout: ({ x }: KernelOptions<'dropout'>) => bytes(3 * x.size),
  dequantize: ({ out }: KernelOptions<'dequantize'>) => bytes(out.size),
  modulate: ({ x }: KernelOptions<'modulate'>) => bytes(5 * x.size + 2 * x.dim(0)),
  modulateBackward: (options: KernelOptions<'modulateBackward'>) =>
    sequenceSumBytes(options, 3 + Number(!!options.dScale), [options.dScale, options.dShift]),
  gatedAdd: ({ x }: KernelOptions<'gatedAdd'>) => bytes(3 * x.size + x.dim(0)),
  gatedAddBackward: (options: KernelOptions<'gatedAddBackward'>) =>
    sequenceSumBytes(options, 2 + Number(!!options.dGate), [options.dGate]),
  mseLoss: ({ prediction, weights, loss, gradientScale }: KernelOptions<'mseLoss'>) =>
    bytes(
      (gradientScale === undefined ? 2 : 3) * prediction.size + (2 + (weights ? 2 : 0)) * loss.size,
    ),
  squaredNorms: ({ tensors }: KernelOptions<'squaredNorms'>) =>
    bytes(Math.max(0, ...tensors.map(({ size }) => size)) + 2 * tensors.length),
  adamw: ({ parameters }: KernelOptions<'adamw'>) =>
    bytes(
      14 * Math.max(0, ...parameters.map(({ size }) => size)) +
        2 * sum(parameters.map(() => scalarBytes)),
    ),
  prodigyMoments: ({ parameters }: KernelOptions<'prodigyMoments'>) =>
    bytes(15 * Math.max(0, ...parameters.map(({ size }) => size)) + 8 * parameters.length),
  prodigyUpdate: ({ parameters }: KernelOptions<'prodigyUpdate'>) =>
    bytes(8 * Math.max(0, ...parameters.map(({ size }) => size))),
  eigh: ({ a, values }: KernelOptions<'eigh'>) => bytes(a.size + values.size),
  cholesky: ({ a }: KernelOptions<'cholesky'>) => bytes(a.size),
  solveTriangular: ({ x, l }: KernelOptions<'solveTriangular'>) => bytes(x.size + l.size),
});

function bytes(elements: number): number {
  return elements === 0 ? 0 : elements * 4 + scalarBytes;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Tensors of the input's size that share and slope of an activation make, see activations.ts. */
const activationTensors = {
  silu: { share: 1, slope: 4 },
  sigmoid: { share: 1, slope: 2 },
  quickGelu: { share: 2, slope: 5 },
  clampedSwiglu: { share: 2, slope: 5 },
  gelu: { share: 4, slope: 6 },
  geluTanh: { share: 7, slope: 10 },
} as const;

function slopeTensors(kind: keyof typeof activationTensors): number {
  const { share, slope } = activationTensors[kind];
  return share + slope;
}

/** `tensors` of the size of x, and copies of it while sums over sequences are made. */
function sequenceSumBytes(
  { x, accumulate }: { readonly x: Tensor; readonly accumulate?: boolean },
  tensors: number,
  sums: readonly (Tensor | null | undefined)[],
): number {
  const made = sums.reduce((total, tensor) => total + 2 * (tensor?.size ?? 0), 0);
  const copies = Number(accumulate ?? false) + (made > 0 ? 2 : 0);
  return bytes((tensors + copies) * x.size + x.dim(0) + made);
}

function crossEntropyBytes({
  logits,
  gradientScale,
  logitScale = 1,
  softCap,
}: KernelOptions<'crossEntropy'>): number {
  const hasGradient = gradientScale !== undefined;
  const capped = softCap === undefined ? 0 : 3 + 4 * Number(hasGradient);
  const extra = (capped + Number(logitScale !== 1)) * logits.size;
  const [rows, width] = [logits.dim(0), logits.dim(1)];
  const booleans = (1 + Number(hasGradient)) * rows * width;
  const plain = (3 + 4 * Number(hasGradient)) * rows * width + 2 * width + 20 * rows;
  return bytes(plain + extra) + booleans;
}

interface AttentionCounts {
  /** Tiles of scores of all heads. */
  readonly tiles: number;
  /** Rows of q that belong to a tile or to its sequence, in all heads. */
  readonly rows: number;
  /** Rows of all of q, k and v. */
  readonly sequenceRows: number;
}

/** What a soft cap takes beside. */
function capped({ softCap }: Pick<AttentionOptions, 'softCap'>, tiles: number): number {
  return softCap === undefined ? 0 : tiles;
}

function attentionElements(
  { q, k, v, sequences, heads, mask }: AttentionOptions,
  { tiles, rows, sequenceRows }: AttentionCounts,
): number {
  const longest = longestSequence(sequences);
  const width = q.dim(1);
  const keyWidth = k.dim(1);
  const tile = Math.min(tileRows, longest);
  const keys = mask?.kind === 'window' ? Math.min(longest, mask.window + tile - 1) : longest;
  const perTile =
    tiles * heads * tile * keys + rows * (tile * width + keys * keyWidth) + 8 * heads * tile;
  const tileCount = Math.ceil(longest / tileRows);
  return perTile + sequenceRows * (q.size + k.size + v.size) + 2 * tileCount * longest * keyWidth;
}

/** Scores and what softmax makes of them, keys and values by head, the queries and the results. */
function decodeAttentionElements({
  q,
  keys,
  cache,
  heads,
  softCap,
}: KernelOptions<'decodeAttention'>): number {
  const longest = Math.max(0, ...cache.lengths);
  const scores = (6 + capped({ softCap }, 2)) * heads * longest;
  return scores + 4 * longest * keys.dim(1) + 6 * q.size + 4 * heads;
}

function longestSequence({ offsets }: SequenceLayout): number {
  return offsets.reduce(
    (longest, offset, i) => Math.max(longest, i === 0 ? 0 : offset - at(offsets, i - 1)),
    0,
  );
}

/** A device over TensorFlow.js as a planner sees it, whatever runs below. */
export const tfjsProfile: DeviceProfile = Object.freeze({
  name: 'tfjs',
  computeDType: 'float32',
  statisticsDType: 'float32',
  allocationBytes: 4,
  rankMultiple: 1,
  reserveBytes: 0,
  workspaceBytes,
});
