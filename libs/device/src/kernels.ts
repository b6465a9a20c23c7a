import type { AttentionMask } from './attention-mask.js';
import type { Tensor } from './tensor.js';

/**
 * Sequences packed one after another without padding: rows `offsets[i]` to `offsets[i + 1]` of
 * every activation belong to sequence i, so padding tokens never exist on a device.
 */
export interface SequenceLayout {
  /** Cumulative lengths on the host, first 0, last the number of rows N; length S + 1. */
  readonly offsets: readonly number[];
  /** The same numbers on the device, int32 (S + 1). */
  readonly deviceOffsets: Tensor;
  /** Position of every row in its sequence, int32 (N). */
  readonly positions: Tensor;
  /** The longest sequence in rows. */
  readonly maxLength: number;
}

/** out = alpha · op(a) · op(b), or out += … when `accumulate`. op transposes. All 2-D. */
export interface GemmOptions {
  /** (m, k), or (k, m) when `transposeA`. float32, bfloat16 or float64. */
  readonly a: Tensor;
  /** (k, n), or (n, k) when `transposeB`; dtype of `a`. */
  readonly b: Tensor;
  /**
   * (m, n); dtype of `a`, or float32 when `a` is bfloat16. Products are summed in float32 (float64
   * for float64).
   */
  readonly out: Tensor;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly alpha?: number;
  readonly accumulate?: boolean;
}

/** out = x / sqrt(mean(x²) + epsilon) · weight over the last dimension. */
export interface RmsNormOptions {
  /** (N, d) */
  readonly x: Tensor;
  /** (d) */
  readonly weight: Tensor;
  readonly epsilon: number;
  /** (N, d) */
  readonly out: Tensor;
  /** (N) float32: 1 / sqrt(mean(x²) + epsilon), for the backward. */
  readonly inverseRms: Tensor;
}

/** dX of rmsNorm; the weight is frozen and has none. */
export interface RmsNormBackwardOptions {
  readonly dOut: Tensor;
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly inverseRms: Tensor;
  /** (N, d); added to when `accumulate`. */
  readonly dX: Tensor;
  readonly accumulate?: boolean;
  /** (N, d): the forward's output once more, where it is wanted. */
  readonly out?: Tensor;
}

/**
 * Rotary position embedding of the halves of each head (the "rotate half" layout of Hugging Face
 * checkpoints). With `inverse` it rotates back, which is its backward. `out` may be `x`.
 */
export interface RopeOptions {
  /** (N, heads · headDim) */
  readonly x: Tensor;
  readonly out: Tensor;
  /** (positions, headDim / 2) float32 */
  readonly cos: Tensor;
  readonly sin: Tensor;
  /** int32 (N) */
  readonly positions: Tensor;
  readonly heads: number;
  readonly inverse?: boolean;
}

/**
 * Softmax attention within each sequence; grouped-query when kvHeads < heads. Never stores all
 * scores at once.
 */
export interface AttentionOptions {
  /** (N, heads · headDim) */
  readonly q: Tensor;
  /** (N, kvHeads · headDim) */
  readonly k: Tensor;
  readonly v: Tensor;
  readonly sequences: SequenceLayout;
  readonly heads: number;
  readonly kvHeads: number;
  /** Factor on the scores, as a rule 1 / sqrt(headDim). */
  readonly scale: number;
  /** (N, heads · headDim) */
  readonly out: Tensor;
  /** (heads, N) float32: log Σ exp(score) per query, the sink included, for the backward. */
  readonly logSumExp: Tensor;
  /** Default causal. */
  readonly mask?: AttentionMask;
  /** c > 0: a score s becomes c · tanh(s / c), after the scale and before the mask. */
  readonly softCap?: number;
  /**
   * (heads), compute dtype: one more score in each head's softmax, whose share is dropped. Frozen:
   * it has no gradient.
   */
  readonly sinks?: Tensor;
}

export interface AttentionBackwardOptions extends Omit<AttentionOptions, 'out'> {
  readonly out: Tensor;
  readonly dOut: Tensor;
  /** Overwritten; shapes of q, k and v. */
  readonly dQ: Tensor;
  readonly dK: Tensor;
  readonly dV: Tensor;
}

/** out = silu(gate) · up, elementwise. */
export interface SwigluOptions {
  readonly gate: Tensor;
  readonly up: Tensor;
  readonly out: Tensor;
}

/** `dGate` and `dUp` may be `gate` and `up` themselves. */
export interface SwigluBackwardOptions {
  readonly dOut: Tensor;
  readonly gate: Tensor;
  readonly up: Tensor;
  /** May be `gate`. */
  readonly dGate: Tensor;
  /** May be `up`. */
  readonly dUp: Tensor;
  /** The forward's output once more, where it is wanted. May be `dOut`. */
  readonly out?: Tensor;
}

/** out[i] = table[rows[i]]: embedding lookup, and gathering of rows. */
export interface EmbeddingOptions {
  /** (V, d) */
  readonly table: Tensor;
  /** int32 (N) */
  readonly rows: Tensor;
  /** (N, d) */
  readonly out: Tensor;
}

/** out[rows[i]] = x[i]; the other rows stay. `rows` are distinct. */
export interface ScatterRowsOptions {
  readonly x: Tensor;
  readonly rows: Tensor;
  readonly out: Tensor;
}

/**
 * out[outRow + i, outColumn + j] = scale · x[i, xColumn + j] for every row i of x and j < columns,
 * with conversion between float32 and bfloat16. Scale 0 writes zeros, whatever x holds.
 */
export interface BlockCopy {
  /** (n, C) */
  readonly x: Tensor;
  readonly xColumn?: number;
  readonly columns: number;
  /** (R, D) */
  readonly out: Tensor;
  readonly outRow?: number;
  readonly outColumn?: number;
  readonly scale?: number;
}

/** Copies of blocks of matrices; no element is written twice, and none that is written is read. */
export interface CopyBlocksOptions {
  readonly copies: readonly BlockCopy[];
}

/**
 * out += alpha · leftᵀ right over columns [leftColumn, leftColumn + leftColumns) of left, few of
 * them: gradients of low-rank matrices.
 */
export interface OuterProduct {
  /** (N, L) in the compute dtype */
  readonly left: Tensor;
  readonly leftColumn?: number;
  readonly leftColumns: number;
  /** (N, C) in the compute dtype */
  readonly right: Tensor;
  /** float32 (leftColumns, C), or (C, leftColumns) when `transposeOut` */
  readonly out: Tensor;
  readonly transposeOut?: boolean;
  readonly alpha?: number;
}

/** Sums over N in float32 or better. The outputs are distinct. */
export interface OuterProductsOptions {
  readonly products: readonly OuterProduct[];
}

/** Softmax cross-entropy of each row, and optionally its gradient. */
export interface CrossEntropyOptions {
  /**
   * (N, V). Overwritten by dLogits = (softmax − onehot) · gradientScale when `gradientScale` is
   * given.
   */
  readonly logits: Tensor;
  /** int32 (N) */
  readonly targets: Tensor;
  /** float32 (N): −log softmax[target] */
  readonly loss: Tensor;
  /** int32 (N): the smallest index of the largest logit. */
  readonly prediction: Tensor;
  readonly gradientScale?: number;
}

/** out += alpha · x, equal shapes. */
export interface AddOptions {
  readonly x: Tensor;
  readonly out: Tensor;
  readonly alpha?: number;
}

/** out[i, :] += bias, for every row. */
export interface AddBiasOptions {
  /** (n) */
  readonly bias: Tensor;
  /** (N, n) */
  readonly out: Tensor;
}

export interface FillOptions {
  readonly out: Tensor;
  readonly value: number;
}

/**
 * out = x with conversion between float32, bfloat16 (round to nearest even) and float64. Equal
 * dtypes copy.
 */
export interface CastOptions {
  readonly x: Tensor;
  readonly out: Tensor;
}

/**
 * out[i] (float32) = Σ x² of each tensor, summed in float64 or in float32 with a fixed order; NaN
 * and Inf pass through.
 */
export interface SquaredNormsOptions {
  readonly tensors: readonly Tensor[];
  /** float32 (tensors.length) */
  readonly out: Tensor;
}

/**
 * AdamW (Loshchilov and Hutter, arXiv 1711.05101), decoupled weight decay, with global-norm
 * clipping: gradients are scaled by min(1, maxGradientNorm / (norm + 1e-6)), norm = sqrt(Σ
 * squaredGradientNorms). All tensors float32, one list entry per parameter.
 */
export interface AdamwOptions {
  readonly parameters: readonly Tensor[];
  readonly gradients: readonly Tensor[];
  readonly firstMoments: readonly Tensor[];
  readonly secondMoments: readonly Tensor[];
  /** Output of `squaredNorms` over `gradients`. */
  readonly squaredGradientNorms: Tensor;
  /** Infinity: no clipping. */
  readonly maxGradientNorm: number;
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** 1 for the first update. */
  readonly step: number;
}

/**
 * out += xᵀ x, products in float32 (or better), sums in out's dtype. The whole symmetric matrix is
 * valid afterwards.
 */
export interface GramOptions {
  /** (N, n) in the compute dtype */
  readonly x: Tensor;
  /** (n, n) in the profile's statistics dtype */
  readonly out: Tensor;
}

/** Symmetric eigenproblem, in place. */
export interface EighOptions {
  /**
   * (n, n) in the profile's statistics dtype, symmetric; overwritten: ROW i is the eigenvector of
   * values[i].
   */
  readonly a: Tensor;
  /** (n), same dtype: eigenvalues, ascending. */
  readonly values: Tensor;
}

/** Cholesky factor, in place. */
export interface CholeskyOptions {
  /**
   * (n, n) in the profile's statistics dtype, symmetric; overwritten by L with a = L Lᵀ, zeros
   * above the diagonal.
   */
  readonly a: Tensor;
}

/** out[i, j] = x[i, j] · scale[i] (along rows), or · scale[j] (along columns). `out` may be `x`. */
export interface ScaleOptions {
  readonly x: Tensor;
  /** (rows) or (columns), dtype of x */
  readonly scale: Tensor;
  readonly along: 'rows' | 'columns';
  readonly out: Tensor;
}

/**
 * Operations that are launched: they return at once on an asynchronous device, in the order of the
 * compute stream.
 */
export interface LaunchedKernels {
  gemm(options: GemmOptions): void;
  rmsNorm(options: RmsNormOptions): void;
  rmsNormBackward(options: RmsNormBackwardOptions): void;
  rope(options: RopeOptions): void;
  attention(options: AttentionOptions): void;
  attentionBackward(options: AttentionBackwardOptions): void;
  swiglu(options: SwigluOptions): void;
  swigluBackward(options: SwigluBackwardOptions): void;
  embedding(options: EmbeddingOptions): void;
  scatterRows(options: ScatterRowsOptions): void;
  copyBlocks(options: CopyBlocksOptions): void;
  outerProducts(options: OuterProductsOptions): void;
  crossEntropy(options: CrossEntropyOptions): void;
  add(options: AddOptions): void;
  addBias(options: AddBiasOptions): void;
  fill(options: FillOptions): void;
  cast(options: CastOptions): void;
  scale(options: ScaleOptions): void;
  squaredNorms(options: SquaredNormsOptions): void;
  adamw(options: AdamwOptions): void;
  gram(options: GramOptions): void;
}

/** Factorisations: their outcome decides what comes next, so they are promises. */
export interface Factorizations {
  eigh(options: EighOptions): Promise<void>;
  /** Resolves to false, and leaves `a` undefined, when `a` is not positive definite. */
  cholesky(options: CholeskyOptions): Promise<boolean>;
}

export type Kernels = LaunchedKernels & Factorizations;
export type KernelName = keyof Kernels;
export type KernelOptions<K extends KernelName> = Parameters<Kernels[K]>[0];

export const launchedKernelNames: readonly (keyof LaunchedKernels)[] = Object.freeze([
  'gemm',
  'rmsNorm',
  'rmsNormBackward',
  'rope',
  'attention',
  'attentionBackward',
  'swiglu',
  'swigluBackward',
  'embedding',
  'scatterRows',
  'copyBlocks',
  'outerProducts',
  'crossEntropy',
  'add',
  'addBias',
  'fill',
  'cast',
  'scale',
  'squaredNorms',
  'adamw',
  'gram',
] as const);

export const factorizationNames: readonly (keyof Factorizations)[] = Object.freeze([
  'eigh',
  'cholesky',
] as const);
