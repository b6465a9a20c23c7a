import {
  backwardBlock,
  forwardBlock,
  forwardBlockAgain,
  planGradients,
  type BlockBindings,
  type BlockForward,
  type GradientPlan,
  type Program,
  type SavedBlock,
} from '@emloc/autograd';
import { at, get, required } from '@emloc/checked';
import { launchedAsItComes, type Repeats, type Tensor } from '@emloc/device';
import { lossBlock, type Batch, type Block } from '@emloc/models';

import type { DeviceAdapter } from './device-adapter.js';
import { DeviceBatch } from './device-batch.js';
import type { MicroBatchDropout } from './dropout.js';
import type { LentFactors } from './lent-factors.js';
import { bytesOf, scalarTensor, type PagedModel, type PassContext } from './paged-model.js';
import { signatureOf } from './signature.js';
import {
  StreamState,
  trainingOrder,
  visitBlock,
  type BackwardPath,
  type BatchDropout,
  type BlockVisit,
} from './walk.js';

/** One micro-batch of training: the adapter's gradients are accumulated, nothing is updated. */
export interface MicroBatch {
  readonly model: PagedModel;
  readonly pass: PassContext;
  readonly adapter: DeviceAdapter;
  readonly path: BackwardPath;
  readonly batch: Batch;
  /** Factor of the losses: 1 / Σ of their weights over the whole optimizer step. */
  readonly gradientScale: number;
  /**
   * The last so many blocks before the loss keep their saved tensors; the others run their forward
   * twice.
   */
  readonly keptBlocks: number;
  /** On what the adapter sees; absent: none. */
  readonly dropout?: MicroBatchDropout;
  /**
   * Of micro-batches of this model, pass, adapter, path and `keptBlocks` alone; absent: nothing is
   * repeated.
   */
  readonly repeats?: Repeats;
}

/** A micro-batch whose work is launched. */
export interface LaunchedMicroBatch {
  /** float32, once the device is done. */
  readonly losses: Promise<Float32Array>;
}

/**
 * Launches forward and backward, block by block in the pager's `trainingOrder`. It waits for
 * weights, never for results: so the device has work while the host prepares what comes next.
 */
export async function runMicroBatch(inputs: MicroBatch): Promise<LaunchedMicroBatch> {
  using run = new MicroBatchRun(inputs);
  return await run.run();
}

/** Of every program, by what a plan depends on beside it. */
const plans = new WeakMap<Program, Map<string, GradientPlan>>();

class MicroBatchRun {
  readonly #batch: DeviceBatch;
  readonly #state: StreamState;
  /** float32 (1) */
  readonly #gradientScale: Tensor;
  /** What is uploaded beside the batch. */
  readonly #uploaded: Tensor[] = [];
  readonly #dropout: BatchDropout | null;
  /** By block that is visited again: the streams that it read. */
  readonly #inputs = new Map<number, ReadonlyMap<string, Tensor>>();
  readonly #saved = new Map<number, SavedBlock>();
  /** By block that is visited again and whose weights stay on the device. */
  readonly #lent = new Map<number, LentFactors>();
  /** Of the streams, where the backward has come to. */
  readonly #gradients = new Map<string, Tensor>();
  #losses: Tensor | null = null;

  constructor(private readonly inputs: MicroBatch) {
    const { device, layout } = inputs.model;
    this.#batch = new DeviceBatch(device, inputs.batch);
    this.#state = new StreamState(layout, this.#batch.values);
    try {
      const { gradientScale, dropout } = inputs;
      this.#gradientScale = this.#own(scalarTensor(device, gradientScale, 'batch.gradientScale'));
      this.#dropout = dropout ? { ...dropout, key: this.#own(this.#upload(dropout)) } : null;
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  #own(tensor: Tensor): Tensor {
    this.#uploaded.push(tensor);
    return tensor;
  }

  #upload({ key }: MicroBatchDropout): Tensor {
    const { device } = this.inputs.model;
    const source = { bytes: bytesOf(key), dtype: 'int32' } as const;
    return device.tensor(source, [key.length], 'int32', 'activations', 'batch.dropoutKey');
  }

  async run(): Promise<LaunchedMicroBatch> {
    const { model, path, batch, dropout } = this.inputs;
    const { repeats = launchedAsItComes } = this.inputs;
    const { device, layout, pager } = model;
    return await repeats.run({
      signature: [dropout?.probability ?? 0, signatureOf(batch.shape)].join(' '),
      inputs: [...this.#batch.tensors, ...this.#uploaded],
      launch: () => this.#launch(),
      skip: () => pager.pass(trainingOrder(layout, path)),
      read: ([losses]) => ({
        losses: device.download(required(losses, 'losses')) as Promise<Float32Array>,
      }),
    });
  }

  /** The losses, the caller's. */
  async #launch(): Promise<readonly Tensor[]> {
    const { layout } = this.inputs.model;
    const loss = lossBlock(layout);
    const before = layout.blocks.slice(0, loss.index);
    for (const block of before) await this.#visit(block, (visit) => this.#forward(visit));
    await this.#visit(loss, (visit) => this.#loss(visit));
    for (const block of before.reverse())
      if (this.#wanted(block)) await this.#visit(block, (visit) => this.#backward(visit));
    const losses = required(this.#losses, 'losses');
    this.#losses = null;
    return [losses];
  }

  [Symbol.dispose](): void {
    for (const lent of this.#lent.values()) lent.takeBack();
    for (const inputs of this.#inputs.values()) disposeAll(inputs);
    for (const saved of this.#saved.values()) saved.dispose();
    disposeAll(this.#gradients);
    this.#losses?.dispose();
    this.#state.dispose();
    for (const tensor of this.#uploaded.splice(0)) tensor.dispose();
    this.#batch.dispose();
  }

  #visit(block: Block, use: (visit: BlockVisit) => void): Promise<void> {
    const { model, pass } = this.inputs;
    return visitBlock({ model, pass, block }, (visit) => {
      if (!this.#dropout) this.#lend(visit);
      use(visit);
      const lent = this.#inputs.has(block.index) ? visit.keepLent() : null;
      if (lent) this.#lent.set(block.index, lent);
    });
  }

  #lend(visit: BlockVisit): void {
    const { index } = visit.block;
    visit.lend(this.inputs.adapter, this.#lent.get(index));
    this.#lent.delete(index);
  }

  #forward(visit: BlockVisit): void {
    const { block } = visit;
    const { tensors } = this.#state;
    const wanted = this.#wanted(block);
    if (wanted) this.#keepInputs(block);
    if (wanted && this.#isKept(block)) {
      const { outputs, saved } = this.#run(visit, this.#bind(visit));
      this.#saved.set(block.index, saved);
      this.#state.advance(block, outputs);
      return;
    }
    const { batch, adapter, dropout } = this.#binding;
    this.#state.advance(block, visit.infer({ batch, adapter, dropout }, tensors).outputs);
  }

  /** The losses, and the first gradients of the backward. */
  #loss(visit: BlockVisit): void {
    const { block } = visit;
    const wanted = this.#wanted(block);
    if (wanted) this.#keepInputs(block);
    const bindings = this.#bind(visit);
    const { results, saved } = this.#run(visit, bindings);
    this.#state.advance(block, new Map());
    this.#saved.set(block.index, saved);
    for (const [name, tensor] of results) {
      if (name === 'losses') this.#losses = tensor;
      else tensor.dispose();
    }
    if (wanted) this.#backward(visit);
  }

  #backward(visit: BlockVisit): void {
    const { block } = visit;
    const bindings = this.#bind(visit);
    const inputs = get(this.#inputs, block.index);
    const saved =
      this.#saved.get(block.index) ??
      forwardBlockAgain(block.program, bindings, inputs, this.#plan(block)).saved;
    this.#saved.delete(block.index);
    const gradients = this.#takeGradients(block);
    for (const [stream, gradient] of backwardBlock(saved, { bindings, inputs, gradients }))
      this.#addGradient(stream, gradient);
    this.#inputs.delete(block.index);
    disposeAll(inputs);
  }

  #run({ block }: BlockVisit, bindings: BlockBindings): BlockForward {
    const inputs = this.#inputs.get(block.index) ?? this.#state.tensors;
    return forwardBlock(block.program, bindings, inputs, this.#plan(block));
  }

  #bind(visit: BlockVisit): BlockBindings {
    return visit.bind(this.#binding);
  }

  get #binding() {
    const { adapter } = this.inputs;
    const gradientScale = this.#gradientScale;
    return { batch: this.#batch, adapter, gradientScale, dropout: this.#dropout };
  }

  #wanted({ index }: Block): ReadonlySet<string> | null {
    return at(this.inputs.path.wanted, index);
  }

  #isKept({ index }: Block): boolean {
    const { model, keptBlocks } = this.inputs;
    return index >= lossBlock(model.layout).index - keptBlocks;
  }

  #keepInputs({ index, program }: Block): void {
    const { tensors } = this.#state;
    this.#inputs.set(
      index,
      new Map([...program.inputs.keys()].map((name) => [name, get(tensors, name).retain()])),
    );
  }

  /** Gradients of what the block wrote: nothing before it has to do with them. */
  #takeGradients({ program }: Block): ReadonlyMap<string, Tensor> {
    const taken = new Map<string, Tensor>();
    for (const stream of program.outputs.keys()) {
      const gradient = this.#gradients.get(stream);
      if (!gradient) continue;
      taken.set(stream, gradient);
      this.#gradients.delete(stream);
    }
    return taken;
  }

  /** Adds a gradient, which is taken over, to what later readers of the stream gave. */
  #addGradient(stream: string, gradient: Tensor): void {
    const sum = this.#gradients.get(stream);
    if (sum) this.#addTo(sum, stream, gradient);
    else this.#gradients.set(stream, gradient);
  }

  #addTo(sum: Tensor, stream: string, gradient: Tensor): void {
    using x = gradient;
    const { device } = this.inputs.model;
    if (!sum.isShared) {
      device.kernels.add({ x, out: sum });
      return;
    }
    const own = device.allocate(sum.shape, sum.dtype, 'activations', `gradient of ${stream}`);
    device.kernels.cast({ x: sum, out: own });
    device.kernels.add({ x, out: own });
    sum.dispose();
    this.#gradients.set(stream, own);
  }

  #plan(block: Block): GradientPlan {
    const adapted = this.inputs.adapter.adaptedIn(block);
    const inputs = this.#wanted(block) ?? new Set<string>();
    const key = `${[...adapted].join()} ${[...inputs].join()}`;
    const known = plans.get(block.program) ?? new Map<string, GradientPlan>();
    const plan = known.get(key) ?? planGradients(block.program, { adapted, inputs });
    plans.set(block.program, known.set(key, plan));
    return plan;
  }
}

function disposeAll(tensors: ReadonlyMap<string, Tensor>): void {
  for (const tensor of tensors.values()) if (!tensor.isDisposed) tensor.dispose();
}
