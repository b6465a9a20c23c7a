import type { Tensor } from '@emloc/device';

import type { GradientPlan } from './gradient-plan.js';
import type { Program } from './program.js';

/**
 * The tensors that a forward kept for its backward; owned by whoever holds it. No weight is among
 * them.
 */
export class SavedBlock implements Disposable {
  readonly values = new Map<number, Tensor>();
  readonly aux = new Map<number, readonly Tensor[]>();

  constructor(
    readonly program: Program,
    readonly plan: GradientPlan,
  ) {}

  /** Frees everything still held. */
  dispose(): void {
    for (const tensor of this.values.values()) tensor.dispose();
    for (const tensors of this.aux.values()) for (const tensor of tensors) tensor.dispose();
    this.values.clear();
    this.aux.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
