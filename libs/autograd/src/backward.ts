import { at, required } from '@emloc/checked';
import { TensorScope, type Tensor } from '@emloc/device';

import { hasRows, rowsOf, type BlockBindings } from './bindings.js';
import type { BackwardContext, ForwardContext, Operation } from './operations/operation.js';
import type { SavedBlock } from './saved-block.js';
import type { Value } from './value.js';
import { Waiter, Waiters } from './waiters.js';

/** What a backward runs on. */
export interface BackwardInputs {
  /** Those of the forward, their weights read again or still there. */
  readonly bindings: BlockBindings;
  /** The forward's input streams; the caller's. */
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** Gradients of the output streams, as far as something depends on them; taken over. */
  readonly gradients: ReadonlyMap<string, Tensor>;
}

/**
 * Pulls gradients (rows, width) of output streams back through a block: accumulates the adapters'
 * gradients and gives those of the input streams that need one, which are the caller's. Takes
 * `saved` and `gradients` over: both are freed.
 */
export function backwardBlock(
  saved: SavedBlock,
  inputs: BackwardInputs,
): ReadonlyMap<string, Tensor> {
  using run = new BackwardRun(saved, inputs);
  return run.run();
}

class BackwardRun implements BackwardContext, Disposable {
  readonly bindings: BlockBindings;
  readonly #inputs = new Map<number, Tensor>();
  readonly #gradients = new Map<number, Tensor>();
  /** What waits for a value to be restored, by value. */
  readonly #waiting = new Map<number, Waiters>();
  readonly #alive: Map<number, Tensor>;
  #index = 0;
  /** Gradients of the present operation's outputs. */
  readonly #dOuts = new Map<number, Tensor>();
  /** Gradients of values that others have given one before. */
  readonly #addends: { readonly value: Value; readonly gradient: Tensor }[] = [];
  /** The present operation's outputs once more. */
  readonly #restored = new Map<number, Tensor>();

  constructor(
    private readonly saved: SavedBlock,
    { bindings, inputs, gradients }: BackwardInputs,
  ) {
    const { program } = saved;
    this.bindings = bindings;
    this.#alive = saved.values;
    for (const [stream, { id }] of program.inputs)
      this.#inputs.set(id, required(inputs.get(stream), `input stream ${stream}`));
    for (const [stream, { id }] of program.outputs) {
      const gradient = gradients.get(stream);
      if (gradient) this.#takeOver(id, gradient);
    }
  }

  /** The gradient of an output stream; several streams may have one value. */
  #takeOver(id: number, gradient: Tensor): void {
    const existing = this.#gradients.get(id);
    if (!existing) {
      this.#gradients.set(id, gradient);
      return;
    }
    const value = at(this.saved.program.values, id);
    using x = gradient;
    this.bindings.device.kernels.add({ x, out: this.#own(value, existing) });
  }

  run(): ReadonlyMap<string, Tensor> {
    const { program, plan } = this.saved;
    for (let index = program.operations.length - 1; index >= 0; index -= 1) {
      this.#index = index;
      if (plan.visited[index]) this.#visit(at(program.operations, index));
      for (const id of at(plan.lastUses, index)) this.#drop(id);
    }
    return this.#takeInputGradients();
  }

  [Symbol.dispose](): void {
    for (const gradient of this.#gradients.values()) gradient.dispose();
    for (const { gradient } of this.#addends) gradient.dispose();
    for (const waiters of this.#waiting.values()) waiters[Symbol.dispose]();
    for (const tensor of this.#restored.values()) tensor.dispose();
    this.saved.dispose();
  }

  get aux(): readonly Tensor[] {
    return this.saved.aux.get(this.#index) ?? [];
  }

  get dOut(): Tensor {
    const [only, ...others] = this.#dOuts.values();
    if (!only || others.length > 0)
      throw new Error('autograd: no single output gradient in this visit');
    return only;
  }

  gradientOf(output: Value): Tensor | null {
    return this.#dOuts.get(output.id) ?? null;
  }

  rows(value: Value): number {
    return rowsOf(this.bindings, value);
  }

  needsGradient(value: Value): boolean {
    return this.saved.plan.needsGradient(value);
  }

  get(value: Value): Tensor {
    const tensor =
      this.#inputs.get(value.id) ?? this.#alive.get(value.id) ?? this.#recompute(value);
    if (!tensor) throw new Error(`autograd: value ${value.id} was not kept for the backward`);
    return tensor;
  }

  contribute(value: Value, write: (gradient: Tensor, accumulate: boolean) => void): void {
    const existing = this.#gradients.get(value.id);
    if (existing) {
      write(this.#own(value, existing), true);
      return;
    }
    const gradient = this.#allocate(value, `gradient ${value.id}`);
    this.#gradients.set(value.id, gradient);
    write(gradient, false);
  }

  own(values: readonly Value[]): readonly Tensor[] {
    return values.map((value) => {
      const gradient = this.#allocate(value, `gradient ${value.id}`);
      if (this.#gradients.has(value.id)) this.#addends.push({ value, gradient });
      else this.#gradients.set(value.id, gradient);
      return gradient;
    });
  }

  /** Adds what an operation wrote for values that had a gradient already. */
  #addUp(): void {
    for (const { value, gradient } of this.#addends.splice(0)) {
      using x = gradient;
      this.passThrough(value, x);
    }
  }

  passThrough(value: Value, tensor: Tensor): void {
    const existing = this.#gradients.get(value.id);
    if (existing) this.bindings.device.kernels.add({ x: tensor, out: this.#own(value, existing) });
    else this.#gradients.set(value.id, tensor.retain());
  }

  multiplyOnceRestored(
    value: Value,
    held: readonly Tensor[],
    productsOf: Waiter['productsOf'],
  ): void {
    if (this.#willBeRestored(value)) {
      const waiters = this.#waiting.get(value.id) ?? new Waiters();
      waiters.add(new Waiter(held, productsOf));
      this.#waiting.set(value.id, waiters);
      return;
    }
    using waiter = new Waiter(held, productsOf);
    this.#multiply(waiter, this.get(value));
  }

  restore(value: Value, { overGradient = false } = {}): Tensor | undefined {
    if (!this.#waiting.has(value.id)) return undefined;
    const dOut = this.#dOuts.get(value.id);
    const tensor =
      overGradient && dOut && !dOut.isShared
        ? dOut.retain()
        : this.#allocate(value, `activation ${value.id}`);
    this.#restored.set(value.id, tensor);
    return tensor;
  }

  scratch(like: Value, width: number, label: string): Tensor {
    const { device } = this.bindings;
    const shape = [this.rows(like), width];
    return device.allocate(shape, device.profile.computeDType, 'activations', label);
  }

  /** Its operation is visited later, and gives its output once more: cheap ones do. */
  #willBeRestored(value: Value): boolean {
    const producer = this.saved.plan.recomputed.get(value.id);
    return (
      producer !== undefined && !this.#alive.has(value.id) && at(this.saved.plan.visited, producer)
    );
  }

  #serve(value: Value): void {
    using waiters = this.#waiting.get(value.id);
    using tensor = this.#restored.get(value.id);
    this.#restored.delete(value.id);
    this.#waiting.delete(value.id);
    if (waiters && tensor) this.#multiply(waiters, tensor);
  }

  #multiply(waiters: Pick<Waiter, 'productsOf'>, tensor: Tensor): void {
    const products = waiters.productsOf(tensor);
    if (products.length > 0) this.bindings.device.kernels.outerProducts({ products });
  }

  #visit(operation: Operation): void {
    using _held = this.#begin(operation);
    if (this.#dOuts.size === 0 && !operation.isLoss) return;
    if (!hasRows(this.bindings, operation)) return;
    operation.backward(this);
    this.#addUp();
    for (const output of operation.outputs) this.#serve(output);
  }

  /** Holds the gradients of an operation's outputs, and what its forward kept, for the visit. */
  #begin(operation: Operation): Disposable {
    for (const { id } of operation.outputs) {
      const gradient = this.#gradients.get(id);
      if (!gradient) continue;
      this.#gradients.delete(id);
      this.#dOuts.set(id, gradient);
    }
    return { [Symbol.dispose]: () => this.#end() };
  }

  #end(): void {
    for (const gradient of this.#dOuts.values()) gradient.dispose();
    this.#dOuts.clear();
    for (const tensor of this.aux) tensor.dispose();
    this.saved.aux.delete(this.#index);
  }

  /**
   * A gradient that may be written in place: copied first where it is shared with another value's.
   */
  #own(value: Value, gradient: Tensor): Tensor {
    if (!gradient.isShared) return gradient;
    const copy = this.#allocate(value, `gradient ${value.id}`);
    this.bindings.device.kernels.cast({ x: gradient, out: copy });
    gradient.dispose();
    this.#gradients.set(value.id, copy);
    return copy;
  }

  #recompute(value: Value): Tensor | null {
    const index = this.saved.plan.recomputed.get(value.id);
    if (index === undefined) return null;
    using scope = new TensorScope(this.bindings.device, 'auxiliary');
    const context: ForwardContext = {
      bindings: this.bindings,
      rows: (like) => this.rows(like),
      get: (input) => this.get(input),
      create: (output) => {
        const tensor = this.#allocate(output, `activation ${output.id}`);
        this.#alive.set(output.id, tensor);
        return tensor;
      },
      reuse: () => false,
      view: (from, to) => {
        const tensor = this.get(from).retain();
        this.#alive.set(to.id, tensor.reshape([this.rows(to), to.width]));
      },
      keepsAux: false,
      scratch: (like, width, label) => this.scratch(like, width, label),
      aux: (shape, dtype, label) => {
        const { device } = this.bindings;
        const kind = dtype === 'compute' ? device.profile.computeDType : 'float32';
        return scope.own(device.allocate(shape, kind, 'activations', label));
      },
      copyLater: (copy) => {
        this.bindings.device.kernels.copyBlocks({ copies: [copy] });
      },
      result: (name) => {
        throw new Error(`autograd: ${name} is made again`);
      },
    };
    at(this.saved.program.operations, index).forward(context);
    return this.#alive.get(value.id) ?? null;
  }

  /** Operations may write more gradients than are wanted. */
  #takeInputGradients(): ReadonlyMap<string, Tensor> {
    const taken = new Map<string, Tensor>();
    for (const [stream, value] of this.saved.program.inputs) {
      const gradient = this.#gradients.get(value.id);
      if (!gradient || !this.needsGradient(value)) continue;
      taken.set(stream, gradient);
      this.#gradients.delete(value.id);
    }
    return taken;
  }

  #drop(id: number): void {
    this.#alive.get(id)?.dispose();
    this.#alive.delete(id);
  }

  #allocate(like: Value, label: string): Tensor {
    return this.scratch(like, like.width, label);
  }
}
