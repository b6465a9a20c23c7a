import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';

import { SavedBlock } from './backward.js';
import type { BlockBindings } from './bindings.js';
import type { GradientPlan } from './gradient-plan.js';
import { ruleOf } from './operations/index.js';
import type { ForwardContext } from './operations/operation.js';
import type { BlockProgram } from './program.js';
import type { Value } from './value.js';

export interface BlockForward {
  /** (rows, width); the caller's to dispose. */
  readonly output: Tensor;
  /** What the backward needs; handed to `backwardBlock` or disposed. */
  readonly saved: SavedBlock;
}

/** Runs a block on x (rows, width) without keeping anything. x stays the caller's. */
export function inferBlock(program: BlockProgram, bindings: BlockBindings, x: Tensor): Tensor {
  return new ForwardRun(program, bindings, x, null).run();
}

/**
 * Runs a block on x (rows, width) and keeps what `plan` says. x stays the caller's, who hands it to
 * the backward again.
 */
export function forwardBlock(
  program: BlockProgram,
  bindings: BlockBindings,
  x: Tensor,
  plan: GradientPlan,
): BlockForward {
  const saved = new SavedBlock(program, plan);
  try {
    return { output: new ForwardRun(program, bindings, x, saved).run(), saved };
  } catch (error) {
    saved.dispose();
    throw error;
  }
}

class ForwardRun implements ForwardContext {
  readonly rows: number;
  readonly #alive = new Map<number, Tensor>();
  readonly #lastUse: ReadonlyMap<number, number>;
  #index = 0;
  #auxiliary: Tensor[] = [];

  constructor(
    private readonly program: BlockProgram,
    readonly bindings: BlockBindings,
    private readonly x: Tensor,
    private readonly saved: SavedBlock | null,
  ) {
    this.rows = x.dim(0);
    this.#lastUse = lastUses(program);
    this.#alive.set(program.input.id, x);
  }

  run(): Tensor {
    try {
      for (const [index, operation] of this.program.operations.entries()) {
        this.#index = index;
        ruleOf(operation).forward(this, operation);
        this.#settleAuxiliary();
        for (const value of ruleOf(operation).inputs(operation)) this.#dropIfDead(value);
      }
      const output = this.get(this.program.output);
      this.#alive.delete(this.program.output.id);
      return output;
    } finally {
      for (const tensor of this.#auxiliary) tensor.dispose();
      for (const [id, tensor] of this.#alive) if (id !== this.program.input.id) tensor.dispose();
    }
  }

  get(value: Value): Tensor {
    const tensor = this.#alive.get(value.id);
    if (!tensor)
      throw new Error(
        `autograd: value ${value.id} is used before it is made or after its last use`,
      );
    return tensor;
  }

  create(value: Value): Tensor {
    const category = this.#isKept(value) ? 'saved' : 'activations';
    const { device } = this.bindings;
    const tensor = device.allocate(
      [this.rows, value.width],
      device.profile.computeDType,
      category,
      `activation ${value.id}`,
    );
    this.#alive.set(value.id, tensor);
    return tensor;
  }

  reuse(from: Value, to: Value): boolean {
    const tensor = this.#alive.get(from.id);
    const isFree =
      from.id !== this.program.input.id &&
      !this.#isKept(from) &&
      this.#lastUse.get(from.id) === this.#index;
    if (!tensor || !isFree) return false;
    this.#alive.delete(from.id);
    this.#alive.set(to.id, tensor);
    return true;
  }

  scratch(width: number, label: string): Tensor {
    const { device } = this.bindings;
    return device.allocate([this.rows, width], device.profile.computeDType, 'activations', label);
  }

  aux(shape: readonly number[], dtype: 'compute' | 'float32', label: string): Tensor {
    const { device } = this.bindings;
    const tensor = device.allocate(
      shape,
      dtype === 'compute' ? device.profile.computeDType : 'float32',
      'saved',
      label,
    );
    this.#auxiliary.push(tensor);
    return tensor;
  }

  get keepsAux(): boolean {
    return this.saved !== null && at(this.saved.plan.visited, this.#index);
  }

  #settleAuxiliary(): void {
    const tensors = this.#auxiliary;
    this.#auxiliary = [];
    if (this.saved && this.keepsAux) this.saved.aux.set(this.#index, tensors);
    else for (const tensor of tensors) tensor.dispose();
  }

  #dropIfDead(value: Value): void {
    const tensor = this.#alive.get(value.id);
    if (
      !tensor ||
      value.id === this.program.input.id ||
      this.#lastUse.get(value.id) !== this.#index
    )
      return;
    this.#alive.delete(value.id);
    if (this.saved && this.#isKept(value)) this.saved.values.set(value.id, tensor);
    else tensor.dispose();
  }

  #isKept(value: Value): boolean {
    return this.saved?.plan.kept.has(value.id) ?? false;
  }
}

/** Index of the last operation that reads each value; the output is never dropped. */
function lastUses(program: BlockProgram): Map<number, number> {
  const last = new Map<number, number>();
  for (const [index, operation] of program.operations.entries()) {
    for (const value of ruleOf(operation).inputs(operation)) last.set(value.id, index);
  }
  last.delete(program.output.id);
  return last;
}
