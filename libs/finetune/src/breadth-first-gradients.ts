import { setImmediate } from 'node:timers/promises';
import {
  backwardBlock,
  forwardBlockAgain,
  planGradients,
  type BlockBindings,
  type GradientObserver,
  type GradientPlan,
} from '@emloc/autograd';
import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';
import type { Batches, Block } from '@emloc/models';

import type { DeviceAdapter } from './device-adapter.js';
import { DeviceBatch } from './device-batch.js';
import { passBytes } from './evaluate.js';
import { gradientVisits, type GradientVisit } from './gradient-visits.js';
import { HostStreams } from './host-streams.js';
import { PassContext, scalarTensor, shapesOf, type PagedModel } from './paged-model.js';
import {
  backwardPath,
  isReadAfter,
  visitBlock,
  type BackwardPath,
  type BlockVisit,
} from './walk.js';

export interface BreadthFirstGradientOptions {
  readonly model: PagedModel;
  readonly batches: Batches;
  /** The linears of a block whose gradients are looked at. Default: none. */
  readonly observedIn?: (block: Block) => ReadonlySet<string>;
  /** Whose gradients are accumulated; absent: the model has no adapter. */
  readonly trained?: TrainedAdapter;
  /** Of rows that include these, the caller's; absent: one of its own. */
  readonly pass?: PassContext;
  /** What streams that wait for the backward may take in host memory, if need be at two passes. */
  readonly hostBytes?: number;
  readonly signal?: AbortSignal;
}

/** An adapter that the model has, as a micro-batch of training takes its gradients. */
interface TrainedAdapter {
  /** Trainable. */
  readonly adapter: DeviceAdapter;
  /** Factor of the losses. */
  readonly gradientScale: number;
}

/** What looks at a block's backward. */
export interface GradientVisitor {
  /** Sees the inputs (N, in) and outputs without bias (N, out) of a block's linears. */
  readonly onLinear: (linear: string, x: Tensor, y: Tensor) => void;
  readonly gradientObserver: GradientObserver;
}

/** Streams that wait for the backward; more make the forward run twice, a part at a time. */
const waitingBytes = 2 ** 33;

/**
 * Takes all batches forward to the loss and back, a block at a time, so that every page is read
 * once each way. Gradients of the sum of the losses are looked at, or accumulated in an adapter's,
 * to the bits of one micro-batch after another. What blocks read and the gradients of what they
 * wrote wait in host memory.
 */
export class BreadthFirstGradients implements Disposable {
  /** In this order, each to be handed to `run`. */
  readonly visits: readonly GradientVisit[];
  /** By batch, once the backward has begun: what the loss block gave. */
  readonly losses: Float32Array[] = [];
  readonly #pass: PassContext;
  readonly #path: BackwardPath;
  /** By batch: the streams where the forward has come to. */
  #waiting: readonly HostStreams[];
  /** By block: by batch, what it read. */
  readonly #kept = new Map<number, readonly HostStreams[]>();
  /** By batch: of the streams, where the backward has come to. */
  readonly #gradients: readonly HostStreams[];

  constructor(private readonly options: BreadthFirstGradientOptions) {
    const { model, batches, hostBytes = waitingBytes } = options;
    const shapes = shapesOf(batches);
    this.#path = backwardPath(model.layout, (block) => this.#visitedIn(block));
    const bytes = passBytes(model, 1);
    this.visits = gradientVisits(model.layout, this.#path, {
      boundaryBytes: shapes.reduce((sum, shape) => sum + bytes.of(shape), 0),
      limitBytes: hostBytes,
    });
    this.#waiting = shapes.map(() => new HostStreams(model.device));
    this.#gradients = shapes.map(() => new HostStreams(model.device));
    this.#pass = options.pass ?? new PassContext(model, shapes);
  }

  /** Pages in the order that the visits ask for them, which the pager must have been given. */
  get pages(): readonly number[] {
    return this.visits.map(({ block }) => block.page);
  }

  /** Takes every batch through a block, or back through it. */
  async run(visit: GradientVisit, visitor: GradientVisitor | null = null): Promise<void> {
    const { model, signal } = this.options;
    const { block, direction } = visit;
    // See train.ts: a synchronous device must let signals and timers have their turn.
    await setImmediate();
    signal?.throwIfAborted();
    this.#begin(visit);
    await visitBlock({ model, pass: this.#pass, block }, async (weights) => {
      if (direction === 'forward')
        await this.#forEachBatch(block, (batch, index) => this.#forward(weights, batch, index));
      else await this.#back(weights, visitor);
    });
    if (direction === 'backward') this.#let(block);
  }

  [Symbol.dispose](): void {
    for (const streams of [
      ...this.#waiting,
      ...this.#gradients,
      ...[...this.#kept.values()].flat(),
    ])
      streams[Symbol.dispose]();
    this.#kept.clear();
    if (!this.options.pass) this.#pass.close();
  }

  get #adapter(): DeviceAdapter | null {
    return this.options.trained?.adapter ?? null;
  }

  #observedIn(block: Block): ReadonlySet<string> {
    return this.options.observedIn?.(block) ?? new Set();
  }

  #adaptedIn(block: Block): ReadonlySet<string> {
    return this.#adapter?.adaptedIn(block) ?? new Set();
  }

  #visitedIn(block: Block): ReadonlySet<string> {
    return new Set([...this.#observedIn(block), ...this.#adaptedIn(block)]);
  }

  /** Keeps what waits as far as it is needed again, or goes back to where that was kept. */
  #begin({ block, direction, keeps }: GradientVisit): void {
    const { index, program } = block;
    const kept = this.#kept.get(index);
    if (direction === 'forward' && kept) {
      this.#clear();
      this.#waiting = kept.map((streams) => streams.share(streams.names));
    } else if (!kept && keeps !== 'nothing') {
      const share = (streams: HostStreams): HostStreams =>
        streams.share(keeps === 'all' ? streams.names : program.inputs.keys());
      this.#kept.set(index, this.#waiting.map(share));
    }
    // A forward that is wanted again begins at a block whose streams are kept.
    if (direction === 'backward') this.#clear();
  }

  #clear(): void {
    for (const streams of this.#waiting) streams[Symbol.dispose]();
  }

  #let({ index }: Block): void {
    for (const streams of this.#kept.get(index) ?? []) streams[Symbol.dispose]();
    this.#kept.delete(index);
  }

  async #forEachBatch(
    block: Block,
    use: (batch: DeviceBatch, index: number) => Promise<void>,
  ): Promise<void> {
    const { model, batches } = this.options;
    const isWanted = (stream: string): boolean => block.program.inputs.has(stream);
    for (const [index, rows] of batches.rows.entries()) {
      const host = await batches.source.load(rows, isWanted);
      using batch = new DeviceBatch(model.device, host, { isWanted });
      await use(batch, index);
    }
  }

  async #forward(visit: BlockVisit, batch: DeviceBatch, index: number): Promise<void> {
    const { block } = visit;
    const streams = at(this.#waiting, index);
    using inputs = inputsOf(block, batch, streams);
    using outputs = new Held(
      visit.infer({ batch, adapter: this.#adapter }, inputs.tensors).outputs,
    );
    for (const [stream, tensor] of outputs.tensors) await streams.put(stream, tensor);
    for (const stream of streams.names)
      if (!isReadAfter(this.options.model.layout, block, stream)) streams.drop(stream);
  }

  async #back(visit: BlockVisit, visitor: GradientVisitor | null): Promise<void> {
    const { block } = visit;
    const { model, trained } = this.options;
    using gradientScale = scalarTensor(model.device, trained?.gradientScale ?? 1, 'gradient scale');
    const plan = planGradients(block.program, {
      adapted: this.#adaptedIn(block),
      observed: this.#observedIn(block),
      inputs: at(this.#path.wanted, block.index) ?? new Set(),
    });
    await this.#forEachBatch(block, async (batch, index) => {
      const kept = at(this.#kept.get(block.index) ?? [], index);
      const bindings = visit.bind({ batch, adapter: this.#adapter, gradientScale, ...visitor });
      using inputs = inputsOf(block, batch, kept);
      const run = { plan, bindings, inputs: inputs.tensors, index };
      using found = new Held(await this.#pulledBack(block, run));
      for (const [stream, gradient] of found.tensors) await this.#add(index, stream, gradient);
    });
  }

  async #pulledBack(
    { program }: Block,
    run: {
      readonly plan: GradientPlan;
      readonly bindings: BlockBindings;
      readonly inputs: ReadonlyMap<string, Tensor>;
      readonly index: number;
    },
  ): Promise<ReadonlyMap<string, Tensor>> {
    const { plan, bindings, inputs } = run;
    const { results, saved } = forwardBlockAgain(program, bindings, inputs, plan);
    const waiting = at(this.#gradients, run.index);
    const gradients = new Map<string, Tensor>();
    try {
      {
        using held = new Held(results);
        await this.#readLosses(held.tensors);
      }
      for (const stream of program.outputs.keys()) {
        if (!waiting.has(stream)) continue;
        gradients.set(stream, waiting.upload(stream));
        waiting.drop(stream);
      }
    } catch (error) {
      for (const tensor of gradients.values()) tensor.dispose();
      saved.dispose();
      throw error;
    }
    return backwardBlock(saved, { bindings, inputs, gradients });
  }

  async #readLosses(results: ReadonlyMap<string, Tensor>): Promise<void> {
    const { trained, model } = this.options;
    const losses = trained && results.get('losses');
    if (losses) this.losses.push((await model.device.download(losses)) as Float32Array);
  }

  /** Adds a gradient to what later readers of the stream gave. */
  async #add(batch: number, stream: string, gradient: Tensor): Promise<void> {
    const waiting = at(this.#gradients, batch);
    if (!waiting.has(stream)) {
      await waiting.put(stream, gradient);
      return;
    }
    using sum = waiting.upload(stream);
    this.options.model.device.kernels.add({ x: gradient, out: sum });
    await waiting.put(stream, sum);
  }
}

/** What a block reads: streams that the batch brings, and those that wait. */
function inputsOf({ program }: Block, batch: DeviceBatch, streams: HostStreams): Held {
  const held = new Held(new Map());
  try {
    for (const stream of program.inputs.keys())
      held.add(stream, batch.values.get(stream)?.retain() ?? streams.upload(stream));
    return held;
  } catch (error) {
    held[Symbol.dispose]();
    throw error;
  }
}

/** Tensors that are let go of together. */
class Held implements Disposable {
  readonly #tensors: Map<string, Tensor>;

  constructor(tensors: ReadonlyMap<string, Tensor>) {
    this.#tensors = new Map(tensors);
  }

  get tensors(): ReadonlyMap<string, Tensor> {
    return this.#tensors;
  }

  add(stream: string, tensor: Tensor): void {
    this.#tensors.set(stream, tensor);
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#tensors.values()) tensor.dispose();
  }
}
