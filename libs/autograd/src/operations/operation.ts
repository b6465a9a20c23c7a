import type { BlockCopy, OuterProduct, Tensor } from '@emloc/device';

import type { BlockBindings } from '../bindings.js';
import type { Value } from '../value.js';

/** Dtype of a result; 'compute' is the device's. */
export type ResultDType = 'float32' | 'int32' | 'compute';

/** One step of a program: what it reads and makes, and how it runs forward and backward. */
export interface Operation {
  /** Kind of the operation, for messages. */
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  /** The linear whose adapter it applies. */
  readonly linear?: string;
  /**
   * Whether it ends in a loss: its forward in training leaves the gradient of its input as an
   * auxiliary, and its backward needs none of an output.
   */
  readonly isLoss?: boolean;
  /**
   * Whether running it again from its inputs is cheaper than keeping its output. Its backward then
   * calls `restore`.
   */
  readonly isCheap: boolean;
  /** Whether it has no backward: a plan of gradients through it is refused. */
  readonly isForwardOnly?: boolean;
  /**
   * Values whose tensors the backward reads. `isAdapted`: its linear has a trained adapter;
   * `needsGradient`: as the backward will be told.
   */
  saves(isAdapted: boolean, needsGradient: (value: Value) => boolean): readonly Value[];
  /** Whether its forward leaves auxiliaries that the backward reads. Default: it does not. */
  leavesAux?(isAdapted: boolean): boolean;
  forward(context: ForwardContext): void;
  /**
   * Leaves the same auxiliaries without making its outputs, for a forward that is run again for the
   * backward alone. Absent: `forward` does it.
   */
  forwardAux?(context: ForwardContext): void;
  backward(context: BackwardContext): void;
}

/** What operations without a backward have in common. */
export const forwardOnly = Object.freeze({
  isForwardOnly: true,
  isCheap: false,
  saves: () => [],
  backward: () => undefined,
}) satisfies Partial<Operation>;

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
  /** Makes `to` another shape of the memory of `from`, without a copy. */
  view(from: Value, to: Value): void;
  /** Allocates (rows of `like`, width) for the time of the call; the caller disposes. */
  scratch(like: Value, width: number, label: string): Tensor;
  /** Whether side results are kept for a backward. */
  readonly keepsAux: boolean;
  /** Allocates a side result that the backward gets as `aux`; freed at once where none are kept. */
  aux(shape: readonly number[], dtype: 'compute' | 'float32', label: string): Tensor;
  /** Copies before the block has run, some together; `x` is kept until then. */
  copyLater(copy: BlockCopy): void;
  /** Allocates a result of the whole block beside its streams, such as a loss. */
  result(name: string, shape: readonly number[], dtype: ResultDType): Tensor;
  /** Rows of a layout. */
  rows(value: Value): number;
}

/** An operation's view of a backward run. */
export interface BackwardContext {
  readonly bindings: BlockBindings;
  get(value: Value): Tensor;
  readonly aux: readonly Tensor[];
  /** Gradient of the operation's only output; not to be written to. */
  readonly dOut: Tensor;
  /** Gradient of one of several outputs, null where nothing depends on it; not to be written to. */
  gradientOf(output: Value): Tensor | null;
  needsGradient(value: Value): boolean;
  /**
   * Adds to a value's gradient: `write` overwrites the given tensor or, when told to, accumulates
   * into it.
   */
  contribute(value: Value, write: (gradient: Tensor, accumulate: boolean) => void): void;
  /** What an operation gives to the gradients of its inputs, to be overwritten. */
  own(values: readonly Value[]): readonly Tensor[];
  /**
   * Launches outer products that read a value's tensor, which `productsOf` may also do itself and
   * return none: now or, where the backward of the operation that made it gives its output once
   * more, then, together with those of others who wait for it. `held` are tensors that the products
   * read; they are kept until then.
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
   * Adds a tensor, `dOut` or an auxiliary, to a value's gradient, without a copy where it is the
   * first contribution.
   */
  passThrough(value: Value, tensor: Tensor): void;
  scratch(like: Value, width: number, label: string): Tensor;
  rows(value: Value): number;
}
