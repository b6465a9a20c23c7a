import { setImmediate } from 'node:timers/promises';
import type { BlockOutcome } from '@emloc/autograd';
import { at, get } from '@emloc/checked';
import { byteLength, type HostBuffer, type Tensor } from '@emloc/device';
import type { Batches, Block } from '@emloc/models';

import type { DeviceAdapter } from './device-adapter.js';
import { DeviceBatch } from './device-batch.js';
import { PassContext, shapesOf, type PagedModel } from './paged-model.js';
import { isReadAfter, visitBlock, type BlockVisit } from './walk.js';

/** Sees the inputs (N, in) and outputs without bias (N, out) of a block's linears. */
type LinearVisit = (linear: string, x: Tensor, y: Tensor) => void;

export interface BreadthFirstOptions {
  readonly model: PagedModel;
  readonly batches: Batches;
  /** Each batch runs once per variant: with that adapter, or with none. */
  readonly variants: readonly (DeviceAdapter | null)[];
  readonly signal?: AbortSignal;
}

/** Where a result belongs: number of the batch and of the variant. */
export interface ResultPlace {
  readonly batch: number;
  readonly variant: number;
}

/** What sees a block's run. */
export interface BlockVisitor {
  readonly onLinear?: LinearVisit;
  /** Sees what the block gives beside its streams, without owning it. */
  readonly onResults?: (results: ReadonlyMap<string, Tensor>, where: ResultPlace) => Promise<void>;
}

/** A stream that waits in host memory between two blocks: (rows, width) in the compute dtype. */
export interface WaitingStream {
  readonly buffer: HostBuffer;
  readonly shape: readonly number[];
}

/** By name. */
type WaitingStreams = Map<string, WaitingStream>;

/**
 * A forward pass that takes all batches through one block before it asks for the next, so that
 * every page is read once. Streams wait in host memory. The pager must have been given
 * `inferenceOrder` as its schedule. Variants share what comes before the first block that one of
 * them adapts.
 */
export class BreadthFirstPass {
  readonly #pass: PassContext;
  /** By batch, then by variant; one for all variants while they are equal. */
  readonly #waiting: WaitingStreams[][];
  #variants: readonly (DeviceAdapter | null)[];

  constructor(private readonly options: BreadthFirstOptions) {
    const { model, batches, variants } = options;
    this.#pass = new PassContext(model, shapesOf(batches));
    this.#waiting = batches.rows.map(() => [new Map()]);
    this.#variants = variants.slice(0, 1);
  }

  /** Takes every batch through one block. Blocks go in order, the first one first. */
  async run(block: Block, visitor: BlockVisitor = {}): Promise<void> {
    const { model, batches, signal } = this.options;
    // See train.ts: a synchronous device must let signals and timers have their turn.
    await setImmediate();
    signal?.throwIfAborted();
    await this.#part(block);
    const isWanted = (stream: string): boolean => block.program.inputs.has(stream);
    await visitBlock({ model, pass: this.#pass, block }, async (visit) => {
      for (const [index, rows] of batches.rows.entries()) {
        const host = await batches.source.load(rows, isWanted);
        using batch = new DeviceBatch(model.device, host, { isWanted });
        for (const variant of this.#variants.keys())
          await this.#runOne(visit, { batch, where: { batch: index, variant }, visitor });
      }
    });
  }

  /** The streams of a batch that wait for the next block, in host memory that is the pass's. */
  waiting(batch: number, variant = 0): ReadonlyMap<string, WaitingStream> {
    return at(at(this.#waiting, batch), variant);
  }

  close(): void {
    for (const waiting of this.#waiting.flat())
      for (const { buffer } of waiting.values()) buffer.dispose();
    this.#waiting.length = 0;
    this.#pass.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Gives every variant its own streams where this block makes them differ, or ends the chain. */
  async #part(block: Block): Promise<void> {
    const { variants, model } = this.options;
    const differs =
      block.program.outputs.size === 0 || variants.some((each) => each?.adaptedIn(block).size);
    if (this.#variants.length === variants.length || !differs) return;
    this.#variants = variants;
    for (const waiting of this.#waiting) {
      const shared = at(waiting, 0);
      while (waiting.length < variants.length) waiting.push(copyOf(shared, model));
    }
  }

  async #runOne(
    visit: BlockVisit,
    {
      batch,
      where,
      visitor: { onLinear, onResults },
    }: { batch: DeviceBatch; where: ResultPlace; visitor: BlockVisitor },
  ): Promise<void> {
    const waiting = at(at(this.#waiting, where.batch), where.variant);
    const adapter = at(this.#variants, where.variant);
    using inputs = new Uploaded();
    for (const stream of visit.block.program.inputs.keys())
      inputs.add(stream, batch.values.get(stream)?.retain() ?? this.#upload(waiting, stream));
    using outcome = new Outcome(visit.infer({ batch, adapter, onLinear }, inputs.tensors));
    await onResults?.(outcome.results, where);
    await this.#keep(visit.block, waiting, outcome.outputs);
  }

  #upload(waiting: WaitingStreams, stream: string): Tensor {
    const { device } = this.options.model;
    const { buffer, shape } = get(waiting, stream);
    const dtype = device.profile.computeDType;
    const source = { bytes: buffer.bytes, dtype };
    return device.tensor(source, shape, dtype, 'activations', stream);
  }

  /** Brings what a block wrote to the host, and lets go of what no later block reads. */
  async #keep(
    block: Block,
    waiting: WaitingStreams,
    outputs: ReadonlyMap<string, Tensor>,
  ): Promise<void> {
    const { device, layout } = this.options.model;
    for (const [stream, tensor] of outputs) {
      const bytes = byteLength(tensor.shape, tensor.dtype);
      const known = waiting.get(stream);
      const buffer =
        known?.buffer.bytes.byteLength === bytes ? known.buffer : device.allocateHost(bytes);
      if (known && known.buffer !== buffer) known.buffer.dispose();
      waiting.set(stream, { buffer, shape: tensor.shape });
      await device.downloadBytes(tensor, buffer.bytes);
    }
    for (const [stream, { buffer }] of waiting) {
      if (isReadAfter(layout, block, stream)) continue;
      buffer.dispose();
      waiting.delete(stream);
    }
  }
}

function copyOf(streams: WaitingStreams, { device }: PagedModel): WaitingStreams {
  return new Map(
    [...streams].map(([stream, { buffer, shape }]) => {
      const copy = device.allocateHost(buffer.bytes.byteLength);
      copy.bytes.set(buffer.bytes);
      return [stream, { buffer: copy, shape }];
    }),
  );
}

/** Tensors that a run reads. */
class Uploaded {
  readonly tensors = new Map<string, Tensor>();

  add(stream: string, tensor: Tensor): void {
    this.tensors.set(stream, tensor);
  }

  [Symbol.dispose](): void {
    for (const tensor of this.tensors.values()) tensor.dispose();
  }
}

/** What a run gave, until it is downloaded. */
class Outcome implements BlockOutcome {
  readonly outputs: BlockOutcome['outputs'];
  readonly results: BlockOutcome['results'];

  constructor({ outputs, results }: BlockOutcome) {
    this.outputs = outputs;
    this.results = results;
  }

  [Symbol.dispose](): void {
    for (const tensor of [...this.outputs.values(), ...this.results.values()]) tensor.dispose();
  }
}
