import type { CacheLayout, Device, SequenceLayout, Tensor } from '@emloc/device';

import type { Value } from './value.js';

/**
 * A linear layer's frozen weight: W (out, in), or W = U V with U (out, r), V (r, in); both in the
 * compute dtype. Where `adapterAt` is given, the layer's adapter is part of the factors: scale · B
 * are U's columns and A is V's rows from there on, so that the products include it.
 */
export type LinearWeights =
  | { readonly kind: 'dense'; readonly weight: Tensor; readonly bias: Tensor | null }
  | {
      readonly kind: 'lowRank';
      readonly u: Tensor;
      readonly v: Tensor;
      readonly bias: Tensor | null;
      readonly adapterAt?: number | null;
    };

/**
 * A LoRA adapter on a linear layer: y += scale · (x Aᵀ) Bᵀ. With a magnitude (DoRA) each output is
 * then scaled, bias aside, so that the row of W + scale · B A behind it has that norm.
 */
export interface AdapterBinding {
  readonly rank: number;
  readonly scale: number;
  /** (rank, in), compute dtype */
  readonly a: Tensor;
  /** (out, rank), compute dtype */
  readonly b: Tensor;
  /** (out) float32; null: plain LoRA. Only where the weight is whole. */
  readonly magnitude: Tensor | null;
  /**
   * Accumulated into by the backward: float32, shapes of a, b and magnitude. Null where nothing is
   * trained.
   */
  readonly gradients: {
    readonly a: Tensor;
    readonly b: Tensor;
    readonly magnitude: Tensor | null;
  } | null;
}

/** What an adapter's A sees of its input while it is trained: x · mask / (1 − probability). */
export interface AdapterDropout {
  readonly probability: number;
  /** int32 (2): of the batch. */
  readonly key: Tensor;
  /** Of the layer: which of the key's masks it has. */
  readonly stream: number;
}

/** A rotary table: (entries, rotated elements / 2) float32 each. */
export interface RopeTable {
  readonly cos: Tensor;
  readonly sin: Tensor;
  /** int32, one a row: its entry. Absent: its position in its sequence. */
  readonly entries?: Tensor;
}

/**
 * Where an attention leaves the keys and values of its rows, for later rows of the same sequences.
 */
export interface AttentionCache {
  /** (capacity, kvHeads · headDim) each, compute dtype */
  readonly keys: Tensor;
  readonly values: Tensor;
  /** int32 (N): where the rows of this run go. */
  readonly rows: Tensor;
  /**
   * Null: the rows are whole sequences, which attend to themselves. Else there is one row a
   * sequence, which attends to what the cache then has of it.
   */
  readonly layout: CacheLayout | null;
}

/** Where an operation leaves what it carries along rows, for later rows of the same sequences. */
export interface StateCache {
  /** (places, width), a row a sequence */
  readonly values: Tensor;
  /** int32 (S): the places of this run's sequences. */
  readonly places: Tensor;
  /** Whether the rows go on from what is there; else they are whole sequences. */
  readonly goesOn: boolean;
}

/** Looks at gradients of the outputs of linear layers that have no adapter. */
export interface GradientObserver {
  /** What it wants of a linear: those of its outputs, of its inputs through it, or nothing. */
  kindOf(linear: string): 'output' | 'input' | null;
  /**
   * @param g (N, out), the gradient of the outputs
   * @param inputs (N, in), g W where it is wanted; neither is the observer's
   */
  observe(linear: string, g: Tensor, inputs: Tensor | null): void;
}

/**
 * What a program's names stand for during one run. A pullback keeps none of it: forward and
 * backward are each handed bindings, so weights may leave the device in between.
 */
export interface BlockBindings {
  readonly device: Device;
  /** A parameter that is not a linear layer's, e.g. `input_layernorm.weight`. */
  parameter(name: string): Tensor;
  linear(name: string): LinearWeights;
  adapter(name: string): AdapterBinding | null;
  /** Null or absent: nothing is dropped. Not where adapters are part of factors. */
  readonly adapterDropout?: (name: string) => AdapterDropout | null;
  /** The rows of a layout and the sequences that they belong to. */
  layout(rows: string): SequenceLayout;
  /** A stream of integers that the batch brings, int32. */
  integers(stream: string): Tensor;
  rope(table: string): RopeTable;
  /** The cache of an attention, by its number among the program's `caches`; none: no cache. */
  readonly cache?: (index: number) => AttentionCache;
  /** Likewise of an operation with a state, by its number among the program's `states`. */
  readonly state?: (index: number) => StateCache;
  /** Whether a loss over tokens gives its logits, too: (M, vocabulary) in the compute dtype. */
  readonly wantsLogits?: boolean;
  /**
   * float32 (1): factor of the loss whose gradient a training forward takes; null: no gradient is
   * taken.
   */
  readonly gradientScale: Tensor | null;
  /**
   * Sees every linear layer's input (N, in) and its frozen weight's output without bias (N, out),
   * without owning them; not where adapters are part of factors.
   */
  readonly onLinear?: (name: string, x: Tensor, y: Tensor) => void;
  /** Of a backward whose plan has linears that are observed. */
  readonly gradientObserver?: GradientObserver;
}

/** Rows that a value has in a run. */
export function rowsOf(bindings: BlockBindings, { rows }: Value): number {
  return bindings.layout(rows).offsets.at(-1) ?? 0;
}

/** Whether an operation has anything to compute: a batch may bring no row of a layout. */
export function hasRows(
  bindings: BlockBindings,
  { outputs }: { readonly outputs: readonly Value[] },
): boolean {
  return outputs.length === 0 || outputs.some((output) => rowsOf(bindings, output) > 0);
}
