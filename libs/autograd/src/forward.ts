import { at, get } from '@emloc/checked';
import type { BlockCopy, Tensor } from '@emloc/device';

import { hasRows, rowsOf, type BlockBindings } from './bindings.js';
import type { GradientPlan, RunAgain } from './gradient-plan.js';
import { LaterCopies } from './later-copies.js';
import type { ForwardContext, Operation, ResultDType } from './operations/operation.js';
import type { Program } from './program.js';
import { SavedBlock } from './saved-block.js';
import type { Value } from './value.js';

/** Tensors of streams, by name. */
export type Streams = ReadonlyMap<string, Tensor>;

/** What a block gives; the caller's to dispose. */
export interface BlockOutcome {
  /** (rows, width) each */
  readonly outputs: Streams;
  /** Results beside the streams, such as losses, by name. */
  readonly results: Streams;
}

export interface BlockForward extends BlockOutcome {
  /** What the backward needs; handed to `backwardBlock` or disposed. */
  readonly saved: SavedBlock;
}

/** Runs a block without keeping anything. The input streams stay the caller's. */
export function inferBlock(
  program: Program,
  bindings: BlockBindings,
  inputs: Streams,
): BlockOutcome {
  using run = new ForwardRun(program, bindings, inputs, { saved: null });
  return run.run();
}

/**
 * Runs a block and keeps what `plan` says. The input streams stay the caller's, who hands them to
 * the backward again.
 */
export function forwardBlock(
  program: Program,
  bindings: BlockBindings,
  inputs: Streams,
  plan: GradientPlan,
): BlockForward {
  const saved = new SavedBlock(program, plan);
  try {
    using run = new ForwardRun(program, bindings, inputs, { saved });
    return { ...run.run(), saved };
  } catch (error) {
    saved.dispose();
    throw error;
  }
}

/**
 * What `forwardBlock` keeps, once more and to the same bits, for the backward that follows: neither
 * outputs nor what only they need are made, unless something looks at the linears. A loss gives its
 * results.
 */
export function forwardBlockAgain(
  program: Program,
  bindings: BlockBindings,
  inputs: Streams,
  plan: GradientPlan,
): Omit<BlockForward, 'outputs'> {
  const saved = new SavedBlock(program, plan);
  try {
    const again = bindings.onLinear ? null : plan.again;
    using run = new ForwardRun(program, bindings, inputs, { saved, again });
    const { outputs, results } = run.run();
    for (const tensor of outputs.values()) tensor.dispose();
    return { results, saved };
  } catch (error) {
    saved.dispose();
    throw error;
  }
}

class ForwardRun implements ForwardContext, Disposable {
  readonly #alive = new Map<number, Tensor>();
  readonly #outputs = new Map<string, Tensor>();
  readonly #results = new Map<string, Tensor>();
  readonly #lastUse: ReadonlyMap<number, number>;
  readonly #inputs: ReadonlySet<number>;
  #index = 0;
  #auxiliary: Tensor[] = [];
  readonly #copies: LaterCopies;
  /** Outputs and results are the caller's. */
  #isDone = false;
  private readonly saved: SavedBlock | null;
  /** By operation; null: all of every one, and the outputs are wanted. */
  readonly #again: readonly RunAgain[] | null;

  constructor(
    private readonly program: Program,
    readonly bindings: BlockBindings,
    streams: Streams,
    { saved, again = null }: { saved: SavedBlock | null; again?: readonly RunAgain[] | null },
  ) {
    this.saved = saved;
    this.#again = again;
    this.#copies = new LaterCopies(bindings.device);
    this.#lastUse = lastUses(program, again);
    this.#inputs = new Set([...program.inputs.values()].map(({ id }) => id));
    for (const [stream, { id }] of program.inputs) this.#alive.set(id, get(streams, stream));
  }

  run(): BlockOutcome {
    for (const [index, operation] of this.program.operations.entries()) {
      this.#index = index;
      this.#forward(operation);
      this.#settleAuxiliary();
      for (const value of [...operation.inputs, ...operation.outputs]) this.#dropIfDead(value);
    }
    this.#copies.launch();
    if (!this.#again) this.#takeOutputs();
    this.#isDone = true;
    return { outputs: this.#outputs, results: this.#results };
  }

  /** A stream may be a value that another stream is, too, or that was read. */
  #takeOutputs(): void {
    for (const [stream, value] of this.program.outputs)
      this.#outputs.set(stream, this.get(value).retain());
    for (const value of new Set(this.program.outputs.values())) this.#drop(value);
  }

  [Symbol.dispose](): void {
    this.#copies.dispose();
    for (const tensor of this.#auxiliary) tensor.dispose();
    for (const [id, tensor] of this.#alive) if (!this.#inputs.has(id)) tensor.dispose();
    if (!this.#isDone)
      for (const tensor of [...this.#outputs.values(), ...this.#results.values()]) tensor.dispose();
  }

  /** Where its outputs have no rows there is nothing to compute, only their tensors to make. */
  #forward(operation: Operation): void {
    const extent = this.#again ? at(this.#again, this.#index) : 'whole';
    if (extent === 'nothing') return;
    if (hasRows(this.bindings, operation)) {
      if (extent === 'auxiliaries') operation.forwardAux?.(this);
      else operation.forward(this);
    } else if (extent === 'whole') {
      for (const output of operation.outputs) this.create(output);
    }
  }

  rows(value: Value): number {
    return rowsOf(this.bindings, value);
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
      [this.rows(value), value.width],
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
      !this.#inputs.has(from.id) &&
      !this.#isKept(from) &&
      this.#lastUse.get(from.id) === this.#index;
    if (!tensor || !isFree || tensor.isShared) return false;
    this.#alive.delete(from.id);
    this.#alive.set(to.id, tensor);
    return true;
  }

  view(from: Value, to: Value): void {
    const tensor = this.get(from).retain();
    this.#alive.set(to.id, tensor.reshape([this.rows(to), to.width]));
  }

  scratch(like: Value, width: number, label: string): Tensor {
    const { device } = this.bindings;
    const shape = [this.rows(like), width];
    return device.allocate(shape, device.profile.computeDType, 'activations', label);
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

  copyLater(copy: BlockCopy): void {
    this.#copies.add(copy);
  }

  result(name: string, shape: readonly number[], dtype: ResultDType): Tensor {
    const { device } = this.bindings;
    const stored = dtype === 'compute' ? device.profile.computeDType : dtype;
    const tensor = device.allocate(shape, stored, 'activations', name);
    this.#results.set(name, tensor);
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
    if (this.#lastUse.get(value.id) === this.#index) this.#drop(value);
  }

  #drop(value: Value): void {
    const tensor = this.#alive.get(value.id);
    if (!tensor || this.#inputs.has(value.id)) return;
    this.#alive.delete(value.id);
    if (this.saved && this.#isKept(value)) this.saved.values.set(value.id, tensor);
    else tensor.dispose();
  }

  #isKept(value: Value): boolean {
    return this.saved?.plan.kept.has(value.id) ?? false;
  }
}

/**
 * Index of the last operation that reads each value, of the one that makes it where none does. Of
 * outputs only where they are not wanted, as in a run again; they are never dropped else.
 */
function lastUses(program: Program, again: readonly RunAgain[] | null): Map<number, number> {
  const last = new Map<number, number>();
  for (const [index, { inputs, outputs }] of program.operations.entries()) {
    if (again?.[index] === 'nothing') continue;
    for (const { id } of [...inputs, ...outputs]) last.set(id, index);
  }
  if (!again) for (const { id } of program.outputs.values()) last.delete(id);
  return last;
}
