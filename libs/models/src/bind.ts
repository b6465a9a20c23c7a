import type { AdapterBinding, BlockBindings, LinearWeights } from '@emloc/autograd';
import type { Device, SequenceLayout, Tensor } from '@emloc/device';

import { ModelError } from './errors.js';
import { factorNames } from './sources.js';

/** What a block runs with besides its weights. */
export interface BlockRunInputs {
  readonly device: Device;
  readonly sequences: SequenceLayout;
  readonly rope: { readonly cos: Tensor; readonly sin: Tensor };
  /** The adapter on a linear layer of this block, by its name within the block. */
  readonly adapter?: (linear: string) => AdapterBinding | null;
  /**
   * Where a linear layer's factors hold its adapter; null or absent: nowhere. See LinearWeights.
   */
  readonly adapterAt?: (linear: string) => number | null;
  readonly onLinear?: (linear: string, x: Tensor, y: Tensor) => void;
}

/**
 * Binds a block's program to the tensors of its unit: whole weights or factors, whichever the unit
 * has.
 */
export function bindBlock(
  tensors: ReadonlyMap<string, Tensor>,
  inputs: BlockRunInputs,
): BlockBindings {
  const parameter = (name: string): Tensor => {
    const tensor = tensors.get(name);
    if (!tensor) throw new ModelError('MODEL_TENSOR_MISSING', `no tensor ${name} in this unit`);
    return tensor;
  };
  const linear = (name: string): LinearWeights => {
    const bias = tensors.get(`${name}.bias`) ?? null;
    const weight = tensors.get(`${name}.weight`);
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
    sequences: inputs.sequences,
    rope: inputs.rope,
    onLinear: inputs.onLinear,
  };
}
