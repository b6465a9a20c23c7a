import type { OuterProduct, Tensor } from '@emloc/device';

import type { BlockBindings } from '../bindings.js';
import type { Value } from '../value.js';

export interface RmsNormOperation {
  readonly kind: 'rmsNorm';
  readonly x: Value;
  readonly out: Value;
  readonly weight: string;
  readonly epsilon: number;
}

export interface LinearOperation {
  readonly kind: 'linear';
  readonly x: Value;
  readonly out: Value;
  readonly name: string;
}

export interface RopeOperation {
  readonly kind: 'rope';
  readonly x: Value;
  readonly out: Value;
  readonly heads: number;
}

export interface AttentionOperation {
  readonly kind: 'attention';
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  readonly out: Value;
  readonly heads: number;
  readonly kvHeads: number;
  readonly scale: number;
}

export interface SwigluOperation {
  readonly kind: 'swiglu';
  readonly gate: Value;
  readonly up: Value;
  readonly out: Value;
}

export interface AddOperation {
  readonly kind: 'add';
  readonly a: Value;
  readonly b: Value;
  readonly out: Value;
}

export type Operation =
  | RmsNormOperation
  | LinearOperation
  | RopeOperation
  | AttentionOperation
  | SwigluOperation
  | AddOperation;

/** An operation's view of a forward run. */
export interface ForwardContext {
  readonly bindings: BlockBindings;
  /** The tensor of a value that is alive. */
  get(value: Value): Tensor;
  /** Allocates the tensor of a value. */
  create(value: Value): Tensor;
  /**
   * Hands the tensor of `from` on as that of `to` and answers true, where nobody else needs `from`
   * any more.
   */
  reuse(from: Value, to: Value): boolean;
  /** Allocates (rows, width) for the time of the call; the caller disposes. */
  scratch(width: number, label: string): Tensor;
  /** Whether side results are kept for a backward. */
  readonly keepsAux: boolean;
  /** Allocates a side result that the backward gets as `aux`; freed at once where none are kept. */
  aux(shape: readonly number[], dtype: 'compute' | 'float32', label: string): Tensor;
  readonly rows: number;
}

/** An operation's view of a backward run. */
export interface BackwardContext {
  readonly bindings: BlockBindings;
  get(value: Value): Tensor;
  readonly aux: readonly Tensor[];
  /** Gradient of the operation's output; not to be written to. */
  readonly dOut: Tensor;
  needsGradient(value: Value): boolean;
  /**
   * Adds to a value's gradient: `write` overwrites the given tensor or, when told to, accumulates
   * into it.
   */
  contribute(value: Value, write: (gradient: Tensor, accumulate: boolean) => void): void;
  /**
   * Launches outer products that read a value's tensor: now or, where the backward of the operation
   * that made it gives its output once more, then, together with those of others who wait for it.
   * `held` are tensors that the products read; they are kept until then.
   */
  multiplyOnceRestored(
    value: Value,
    held: readonly Tensor[],
    productsOf: (tensor: Tensor) => readonly OuterProduct[],
  ): void;
  /**
   * A tensor for the operation's output once more, for those who wait for it; undefined where
   * nobody does. With `overGradient` it may be that of `dOut`, for a kernel that reads each element
   * of `dOut` before it writes there.
   */
  restore(value: Value, options?: { readonly overGradient?: boolean }): Tensor | undefined;
  /**
   * Adds `dOut` itself to a value's gradient, without a copy where it is the first contribution.
   */
  passThrough(value: Value): void;
  scratch(width: number, label: string): Tensor;
  readonly rows: number;
}

/** How one kind of operation runs, and what its backward needs. */
export interface OperationRule<O extends Operation> {
  inputs(operation: O): readonly Value[];
  /**
   * Values whose tensors the backward reads. `adapted` tells whether a linear layer carries a
   * trained adapter.
   */
  saves(operation: O, adapted: boolean): readonly Value[];
  /**
   * Whether running it again from its inputs is cheaper than keeping its output. Its backward then
   * calls `restore`.
   */
  readonly isCheap: boolean;
  forward(context: ForwardContext, operation: O): void;
  backward(context: BackwardContext, operation: O): void;
}
