import {
  inferBlock,
  outputsWithGradient,
  type AdapterDropout,
  type AttentionCache,
  type BlockBindings,
  type BlockOutcome,
  type GradientObserver,
  type StateCache,
  type Streams,
} from '@emloc/autograd';
import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';
import {
  bindBlock,
  lossBlock,
  type Block,
  type ModelLayout,
  type ModelLinear,
} from '@emloc/models';
import type { Lease } from '@emloc/weight-pager';

import type { DeviceAdapter } from './device-adapter.js';
import type { DeviceBatch } from './device-batch.js';
import { lendFactors, type LentFactors } from './lent-factors.js';
import type { PagedModel, PassContext } from './paged-model.js';

/** How the backward goes through a chain. */
export interface BackwardPath {
  /**
   * By block: the streams that it reads whose gradient is wanted; null: the backward does not visit
   * it.
   */
  readonly wanted: readonly (ReadonlySet<string> | null)[];
  /** The first block that is visited; the length of the chain where none is. */
  readonly lowest: number;
}

/** Which blocks and streams lead back to an adapted linear. */
export function backwardPath(
  { blocks }: ModelLayout,
  adaptedIn: (block: Block) => ReadonlySet<string>,
): BackwardPath {
  const carried = new Set<string>();
  const wanted = blocks.map((block) => {
    const { program } = block;
    const adapted = adaptedIn(block);
    const inputs = new Set([...program.inputs.keys()].filter((stream) => carried.has(stream)));
    const outputs = outputsWithGradient(program, { adapted, inputs });
    for (const stream of program.outputs.keys()) {
      if (outputs.has(stream)) carried.add(stream);
      else carried.delete(stream);
    }
    return adapted.size > 0 || inputs.size > 0 ? inputs : null;
  });
  const lowest = wanted.findIndex((inputs) => inputs !== null);
  return { wanted, lowest: lowest < 0 ? blocks.length : lowest };
}

/** How many blocks before the loss the backward goes back, where these linears are adapted. */
export function blocksBeforeLoss(
  layout: ModelLayout,
  adapted: Iterable<Pick<ModelLinear, 'block' | 'name'>>,
): number {
  const names = layout.blocks.map(() => new Set<string>());
  for (const { block, name } of adapted) at(names, block).add(name);
  const { lowest } = backwardPath(layout, ({ index }) => at(names, index));
  return Math.max(0, lossBlock(layout).index - lowest);
}

/**
 * Pages in the order that one micro-batch of training asks for them: forward to the loss, whose
 * block goes back at once, then back through the blocks that are visited.
 */
export function trainingOrder({ blocks }: ModelLayout, { wanted }: BackwardPath): number[] {
  const back = blocks.slice(0, -1).filter(({ index }) => at(wanted, index) !== null);
  return [...blocks, ...back.reverse()].map(({ page }) => page);
}

/** Pages in the order of one forward pass through the first so many blocks; default: all. */
export function inferenceOrder({ blocks }: ModelLayout, count = blocks.length): number[] {
  return blocks.slice(0, count).map(({ page }) => page);
}

/** Dropout on the adapters of one batch: each layer has a mask of its own. */
export type BatchDropout = Omit<AdapterDropout, 'stream'>;

/** What is bound to a block beside its weights. */
export interface Binding {
  readonly batch: DeviceBatch;
  readonly adapter?: DeviceAdapter | null;
  /** float32 (1) */
  readonly gradientScale?: Tensor | null;
  /** On what the adapter sees, which the block's factors must not hold then. Default: none. */
  readonly dropout?: BatchDropout | null;
  readonly onLinear?: (linear: string, x: Tensor, y: Tensor) => void;
  readonly gradientObserver?: GradientObserver;
  /** Of the block's attentions, by number. */
  readonly cache?: (index: number) => AttentionCache;
  /** Of the block's operations with a state, by number. */
  readonly state?: (index: number) => StateCache;
  readonly wantsLogits?: boolean;
}

/** A block whose weights are on the device. */
export class BlockVisit implements Disposable {
  #lent: { readonly adapter: DeviceAdapter; readonly factors: LentFactors } | null = null;

  constructor(
    private readonly model: PagedModel,
    private readonly pass: PassContext,
    readonly block: Block,
    private readonly lease: Pick<Lease, 'tensors' | 'isLasting'>,
  ) {}

  /**
   * Lets the block's factors hold an adapter until the visit ends; see LentFactors.
   * @param factors those that hold it since an earlier visit
   */
  lend(adapter: DeviceAdapter, factors?: LentFactors): void {
    const { model, block } = this;
    const { tensors } = this.lease;
    this.#lent = { adapter, factors: factors ?? lendFactors({ model, adapter, block, tensors }) };
  }

  /** The factors as they are lent, for the caller to take back; null where weights may leave. */
  keepLent(): LentFactors | null {
    const lent = this.lease.isLasting ? this.#lent : null;
    if (lent) this.#lent = null;
    return lent?.factors ?? null;
  }

  bind({ batch, adapter, dropout = null, ...binding }: Binding): BlockBindings {
    const lent = this.#lent?.adapter === adapter ? this.#lent?.factors : undefined;
    return bindBlock(this.block, this.lease.tensors, {
      device: this.model.device,
      layouts: batch.layouts,
      integers: batch.integers,
      ropes:
        batch.ropes.size === 0 ? this.pass.ropes : new Map([...this.pass.ropes, ...batch.ropes]),
      ...binding,
      adapter: (linear) => adapter?.binding(this.block, linear) ?? null,
      adapterAt: (linear) => lent?.at(linear) ?? null,
      adapterDropout: (linear) =>
        dropout && adapter ? { ...dropout, stream: adapter.numberOf(this.block, linear) } : null,
    });
  }

  /** Runs the block without keeping anything. */
  infer(binding: Binding, inputs: Streams): BlockOutcome {
    return inferBlock(this.block.program, this.bind(binding), inputs);
  }

  /** Ends the visit. */
  [Symbol.dispose](): void {
    this.#lent?.factors.takeBack();
  }
}

/**
 * Runs `use` with a block's weights on the device. The pager was told the order of the visits
 * before.
 */
export async function visitBlock<T>(
  { model, pass, block }: { model: PagedModel; pass: PassContext; block: Block },
  use: (visit: BlockVisit) => T | Promise<T>,
): Promise<T> {
  using lease = await model.pager.acquire(block.page);
  using visit = new BlockVisit(model, pass, block, lease);
  return await use(visit);
}

/**
 * Whether what the stream holds after this block is read: by a later block, or by whoever runs the
 * chain, who gets the streams that its last block writes.
 */
export function isReadAfter(
  { blocks }: ModelLayout,
  { index }: Pick<Block, 'index'>,
  stream: string,
): boolean {
  const next = blocks
    .slice(index + 1)
    .find(({ program }) => program.inputs.has(stream) || program.outputs.has(stream));
  if (next) return next.program.inputs.has(stream);
  return index === blocks.length - 1 && (blocks.at(-1)?.program.outputs.has(stream) ?? false);
}

/** The streams of one batch on their way through the chain. */
export class StreamState {
  readonly #tensors: Map<string, Tensor>;

  constructor(
    private readonly layout: ModelLayout,
    initial: Streams,
  ) {
    this.#tensors = new Map([...initial].map(([stream, tensor]) => [stream, tensor.retain()]));
  }

  get tensors(): Streams {
    return this.#tensors;
  }

  /** Takes over what a block wrote, and lets go of what no later block reads. */
  advance(block: Block, outputs: Streams): void {
    for (const [stream, tensor] of outputs) {
      this.#tensors.get(stream)?.dispose();
      this.#tensors.set(stream, tensor);
    }
    for (const [stream, tensor] of this.#tensors) {
      if (isReadAfter(this.layout, block, stream)) continue;
      tensor.dispose();
      this.#tensors.delete(stream);
    }
  }

  dispose(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose();
    this.#tensors.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
