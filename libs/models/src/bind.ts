import type {
  AdapterBinding,
  AdapterDropout,
  AttentionCache,
  BlockBindings,
  GradientObserver,
  LinearWeights,
  RopeTable,
  StateCache,
} from '@emloc/autograd';
import { get } from '@emloc/checked';
import type { Device, SequenceLayout, Tensor } from '@emloc/device';

import { ModelError } from './errors.js';
import type { Block } from './layout.js';
import { factorNames } from './sources.js';

/** What a block runs with besides its weights. */
export interface BlockRunInputs {
  readonly device: Device;
  readonly layouts: ReadonlyMap<string, SequenceLayout>;
  /** Streams of integers that the batch brings. */
  readonly integers: ReadonlyMap<string, Tensor>;
  readonly ropes: ReadonlyMap<string, RopeTable>;
  /** float32 (1). Default: no gradient is taken. */
  readonly gradientScale?: Tensor | null;
  /** The adapter on a linear of this block, by its name within the block. */
  readonly adapter?: (linear: string) => AdapterBinding | null;
  /**
   * Where a linear's factors hold its adapter; null or absent: nowhere. See LinearWeights.
   */
  readonly adapterAt?: (linear: string) => number | null;
  /** What of its input the adapter on a linear sees; null or absent: all of it. */
  readonly adapterDropout?: (linear: string) => AdapterDropout | null;
  readonly onLinear?: (linear: string, x: Tensor, y: Tensor) => void;
  /** Default: none. */
  readonly gradientObserver?: GradientObserver;
  /** Caches of the block's attentions, by number. Default: none. */
  readonly cache?: (index: number) => AttentionCache;
  /** Likewise of its operations with a state. Default: none. */
  readonly state?: (index: number) => StateCache;
  /** Default: no. */
  readonly wantsLogits?: boolean;
}

/**
 * Binds a block's program to the tensors of its page: whole weights or factors, whichever the page
 * has.
 */
export function bindBlock(
  block: Block,
  tensors: ReadonlyMap<string, Tensor>,
  inputs: BlockRunInputs,
): BlockBindings {
  const tensorOf = (name: string): Tensor | undefined =>
    tensors.get(block.tensors.get(name) ?? name);
  const parameter = (name: string): Tensor => {
    const tensor = tensorOf(name);
    if (!tensor) throw new ModelError('MODEL_TENSOR_MISSING', `no tensor ${name} in ${block.name}`);
    return tensor;
  };
  const linear = (name: string): LinearWeights => {
    const bias = tensorOf(`${name}.bias`) ?? null;
    const weight = tensorOf(`${name}.weight`);
    if (weight) return { kind: 'dense', weight, bias };
    const factors = factorNames(name);
    return {
      kind: 'lowRank',
      u: parameter(factors.u),
      v: parameter(factors.v),
      bias,
      adapterAt: inputs.adapterAt?.(name) ?? null,
    };
  };
  return {
    device: inputs.device,
    parameter,
    linear,
    adapter: inputs.adapter ?? (() => null),
    adapterDropout: inputs.adapterDropout,
    layout: (rows) => get(inputs.layouts, rows),
    integers: (stream) => get(inputs.integers, stream),
    rope: (table) => get(inputs.ropes, table),
    gradientScale: inputs.gradientScale ?? null,
    onLinear: inputs.onLinear,
    gradientObserver: inputs.gradientObserver,
    cache: inputs.cache,
    state: inputs.state,
    wantsLogits: inputs.wantsLogits,
  };
}
