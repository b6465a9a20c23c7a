import { at } from '@emloc/checked';
import type { MemoryCategory, OuterProduct, Tensor } from '@emloc/device';

import type { BlockBindings } from './bindings.js';
import type { GradientPlan } from './gradient-plan.js';
import { ruleOf } from './operations/index.js';
import type { BackwardContext, ForwardContext } from './operations/operation.js';
import type { BlockProgram } from './program.js';
import type { Value } from './value.js';

/**
 * The tensors that a forward kept for its backward; owned by whoever holds it. No weight is among
 * them.
 */
export class SavedBlock {
  readonly values = new Map<number, Tensor>();
  readonly aux = new Map<number, readonly Tensor[]>();

  constructor(
    readonly program: BlockProgram,
    readonly plan: GradientPlan,
  ) {}

  /** Frees everything still held. */
  dispose(): void {
    for (const tensor of this.values.values()) tensor.dispose();
    for (const tensors of this.aux.values()) for (const tensor of tensors) tensor.dispose();
    this.values.clear();
    this.aux.clear();
  }
}

/**
 * Pulls dOut (rows, width) back through a block: accumulates the adapters' gradients and gives dX,
 * or null where the input needs none. Takes `saved` and `dOut` over: both are freed. `x` is the
 * forward's input and stays the caller's; `bindings` are those of the forward, their weights read
 * again or still there.
 */
export function backwardBlock(
  saved: SavedBlock,
  { bindings, x, dOut }: { bindings: BlockBindings; x: Tensor; dOut: Tensor },
): Tensor | null {
  return new BackwardRun(saved, bindings, x, dOut).run();
}

/** Products that need a value once, and the tensors that are held for them until then. */
interface Waiter {
  readonly held: readonly Tensor[];
  productsOf(tensor: Tensor): readonly OuterProduct[];
}

class BackwardRun implements BackwardContext {
  readonly rows: number;
  readonly #gradients = new Map<number, Tensor>();
  /** What waits for a value to be restored, by value. */
  readonly #waiting = new Map<number, Waiter[]>();
  readonly #alive: Map<number, Tensor>;
  #index = 0;
  #dOut: Tensor | null = null;
  /** The present operation's output once more. */
  #restored: Tensor | null = null;

  constructor(
    private readonly saved: SavedBlock,
    readonly bindings: BlockBindings,
    private readonly x: Tensor,
    dOut: Tensor,
  ) {
    this.rows = x.dim(0);
    this.#alive = saved.values;
    this.#gradients.set(saved.program.output.id, dOut);
  }

  run(): Tensor | null {
    const { program, plan } = this.saved;
    try {
      for (let index = program.operations.length - 1; index >= 0; index -= 1) {
        this.#index = index;
        if (plan.visited[index]) this.#visit();
        for (const id of at(plan.lastUses, index)) this.#drop(id);
      }
      const dX = this.#gradients.get(program.input.id) ?? null;
      this.#gradients.delete(program.input.id);
      return dX;
    } finally {
      for (const gradient of this.#gradients.values()) gradient.dispose();
      for (const { held } of [...this.#waiting.values()].flat())
        for (const tensor of held) tensor.dispose();
      this.#restored?.dispose();
      this.saved.dispose();
    }
  }

  get aux(): readonly Tensor[] {
    return this.saved.aux.get(this.#index) ?? [];
  }

  get dOut(): Tensor {
    if (!this.#dOut) throw new Error('autograd: no output gradient outside a visit');
    return this.#dOut;
  }

  needsGradient(value: Value): boolean {
    return this.saved.plan.needsGradient(value);
  }

  get(value: Value): Tensor {
    if (value.id === this.saved.program.input.id) return this.x;
    const tensor = this.#alive.get(value.id) ?? this.#recompute(value);
    if (!tensor) throw new Error(`autograd: value ${value.id} was not kept for the backward`);
    return tensor;
  }

  contribute(value: Value, write: (gradient: Tensor, accumulate: boolean) => void): void {
    const existing = this.#gradients.get(value.id);
    if (existing) {
      write(this.#own(value, existing), true);
      return;
    }
    const gradient = this.#allocate(value.width, 'activations', `gradient ${value.id}`);
    this.#gradients.set(value.id, gradient);
    write(gradient, false);
  }

  passThrough(value: Value): void {
    const existing = this.#gradients.get(value.id);
    if (existing)
      this.bindings.device.kernels.add({ x: this.dOut, out: this.#own(value, existing) });
    else this.#gradients.set(value.id, this.dOut.retain());
  }

  multiplyOnceRestored(
    value: Value,
    held: readonly Tensor[],
    productsOf: Waiter['productsOf'],
  ): void {
    const waiter = { held: held.map((tensor) => tensor.retain()), productsOf };
    if (this.#willBeRestored(value)) {
      this.#waiting.set(value.id, [...(this.#waiting.get(value.id) ?? []), waiter]);
      return;
    }
    try {
      this.#multiply([waiter], this.get(value));
    } finally {
      for (const tensor of waiter.held) tensor.dispose();
    }
  }

  restore(value: Value, { overGradient = false } = {}): Tensor | undefined {
    if (!this.#waiting.has(value.id)) return undefined;
    this.#restored =
      overGradient && !this.dOut.isShared
        ? this.dOut.retain()
        : this.#allocate(value.width, 'activations', `activation ${value.id}`);
    return this.#restored;
  }

  scratch(width: number, label: string): Tensor {
    return this.#allocate(width, 'activations', label);
  }

  /** Its operation is visited later, and gives its output once more: cheap ones do. */
  #willBeRestored(value: Value): boolean {
    const producer = this.saved.plan.recomputed.get(value.id);
    return (
      producer !== undefined && !this.#alive.has(value.id) && at(this.saved.plan.visited, producer)
    );
  }

  #serve(value: Value): void {
    const [tensor, waiters] = [this.#restored, this.#waiting.get(value.id) ?? []];
    this.#restored = null;
    try {
      if (tensor) this.#multiply(waiters, tensor);
    } finally {
      tensor?.dispose();
      this.#waiting.delete(value.id);
      for (const { held } of waiters) for (const one of held) one.dispose();
    }
  }

  #multiply(waiters: readonly Waiter[], tensor: Tensor): void {
    this.bindings.device.kernels.outerProducts({
      products: waiters.flatMap(({ productsOf }) => productsOf(tensor)),
    });
  }

  #visit(): void {
    const operation = this.saved.program.operations[this.#index];
    const gradient = operation && this.#gradients.get(operation.out.id);
    if (!operation || !gradient) return;
    this.#gradients.delete(operation.out.id);
    this.#dOut = gradient;
    try {
      ruleOf(operation).backward(this, operation);
      this.#serve(operation.out);
    } finally {
      this.#dOut = null;
      gradient.dispose();
      for (const tensor of this.aux) tensor.dispose();
      this.saved.aux.delete(this.#index);
    }
  }

  /**
   * A gradient that may be written in place: copied first where it is shared with another value's.
   */
  #own(value: Value, gradient: Tensor): Tensor {
    if (!gradient.isShared) return gradient;
    const copy = this.#allocate(value.width, 'activations', `gradient ${value.id}`);
    this.bindings.device.kernels.cast({ x: gradient, out: copy });
    gradient.dispose();
    this.#gradients.set(value.id, copy);
    return copy;
  }

  #recompute(value: Value): Tensor | null {
    const index = this.saved.plan.recomputed.get(value.id);
    const operation = index === undefined ? undefined : this.saved.program.operations[index];
    if (!operation) return null;
    const auxiliary: Tensor[] = [];
    const context: ForwardContext = {
      bindings: this.bindings,
      rows: this.rows,
      get: (input) => this.get(input),
      create: (output) => {
        const tensor = this.#allocate(output.width, 'activations', `activation ${output.id}`);
        this.#alive.set(output.id, tensor);
        return tensor;
      },
      reuse: () => false,
      keepsAux: false,
      scratch: (width, label) => this.scratch(width, label),
      aux: (shape, dtype, label) => {
        const { device } = this.bindings;
        const kind = dtype === 'compute' ? device.profile.computeDType : 'float32';
        const tensor = device.allocate(shape, kind, 'activations', label);
        auxiliary.push(tensor);
        return tensor;
      },
    };
    try {
      ruleOf(operation).forward(context, operation);
    } finally {
      for (const tensor of auxiliary) tensor.dispose();
    }
    return this.#alive.get(value.id) ?? null;
  }

  #drop(id: number): void {
    this.#alive.get(id)?.dispose();
    this.#alive.delete(id);
  }

  #allocate(width: number, category: MemoryCategory, label: string): Tensor {
    const { device } = this.bindings;
    return device.allocate([this.rows, width], device.profile.computeDType, category, label);
  }
}
