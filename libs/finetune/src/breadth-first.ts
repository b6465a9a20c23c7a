import { setImmediate } from 'node:timers/promises';
import { inferBlock } from '@emloc/autograd';
import { at, get } from '@emloc/checked';
import type { PackedBatch } from '@emloc/dataset';
import { byteLength, type HostBuffer, type Tensor } from '@emloc/device';
import { bindBlock } from '@emloc/models';

import type { DeviceAdapter } from './device-adapter.js';
import { DeviceBatch, longestSequence } from './device-batch.js';
import { runHead, type HeadResult } from './head.js';
import { openPass, type PagedModel, type PassContext } from './paged-model.js';

/** Sees the inputs (N, in) and outputs without bias (N, out) of a block's linear layers. */
export type BlockVisit = (linear: string, x: Tensor, y: Tensor) => void;

export interface BreadthFirstOptions {
  readonly model: PagedModel;
  readonly batches: readonly PackedBatch[];
  /** Each batch runs once per variant: with that adapter, or with none. */
  readonly variants: readonly (DeviceAdapter | null)[];
  readonly signal?: AbortSignal;
}

/**
 * A forward pass that takes all batches through one unit before it asks for the next, so that every
 * unit is paged in once. Hidden states wait in host memory. The pager must have been given
 * `inferenceOrder` as its schedule.
 */
export class BreadthFirstPass {
  readonly #pass: PassContext;
  /** Hidden state of batch b and variant v at index b · variants + v. */
  readonly #hidden: HostBuffer[] = [];

  constructor(private readonly options: BreadthFirstOptions) {
    const longest = options.batches.reduce(
      (most, { offsets }) => Math.max(most, longestSequence(offsets)),
      1,
    );
    this.#pass = openPass(options.model, longest);
  }

  /** Must come first. */
  async embed(): Promise<void> {
    const { device, layout, pager } = this.options.model;
    const lease = await pager.acquire(layout.embedUnit);
    try {
      for (const host of this.options.batches) {
        const table = get(lease.tensors, layout.embedTensor);
        await this.#onBatch(host, async (batch) => {
          const x = this.#allocate(batch.rows, 'hidden state');
          try {
            device.kernels.gatherRows({ table, rows: batch.ids, out: x });
            const buffer = device.allocateHost(byteLength(x.shape, x.dtype));
            this.#hidden.push(buffer);
            await device.downloadBytes(x, buffer.bytes);
            for (let variant = 1; variant < this.options.variants.length; variant += 1) {
              const copy = device.allocateHost(buffer.bytes.byteLength);
              this.#hidden.push(copy);
              copy.bytes.set(buffer.bytes);
            }
          } finally {
            x.dispose();
          }
        });
      }
    } finally {
      lease.release();
    }
  }

  /**
   * Takes every hidden state through one block. `visit` sees the linear layers. Blocks go in order.
   */
  async block(block: number, visit?: BlockVisit): Promise<void> {
    const { model, batches, variants, signal } = this.options;
    // See train.ts: a synchronous device must let signals and timers have their turn.
    await setImmediate();
    signal?.throwIfAborted();
    const lease = await model.pager.acquire(model.layout.blockUnit(block));
    try {
      for (const [index, host] of batches.entries()) {
        await this.#onBatch(host, async (batch) => {
          for (const [variant, adapter] of variants.entries()) {
            const buffer = this.#hiddenOf(index, variant);
            const x = this.#upload(batch.rows, buffer);
            try {
              const bindings = bindBlock(lease.tensors, {
                device: model.device,
                sequences: batch.sequences,
                rope: this.#pass.rope,
                onLinear: visit,
                adapter: (linear) => adapter?.binding(block, linear) ?? null,
              });
              const output = inferBlock(model.layout.program, bindings, x);
              try {
                await model.device.downloadBytes(output, buffer.bytes);
              } finally {
                output.dispose();
              }
            } finally {
              x.dispose();
            }
          }
        });
      }
    } finally {
      lease.release();
    }
  }

  /**
   * Runs the head and hands each batch's and variant's result to `onResult`, which does not own it.
   * Must come last.
   */
  async head(
    onResult: (result: HeadResult, where: { batch: PackedBatch; variant: number }) => Promise<void>,
  ): Promise<void> {
    const { device, layout, pager } = this.options.model;
    const lease = await pager.acquire(layout.headUnit);
    try {
      for (const [index, host] of this.options.batches.entries()) {
        await this.#onBatch(host, async (batch) => {
          for (const [variant, adapter] of this.options.variants.entries()) {
            const x = this.#upload(batch.rows, this.#hiddenOf(index, variant));
            try {
              const result = runHead({
                device,
                layout,
                tensors: lease.tensors,
                x,
                batch,
                gradientScale: null,
                adapter: adapter?.headBinding,
              });
              try {
                await onResult(result, { batch: host, variant });
              } finally {
                result.dispose();
              }
            } finally {
              x.dispose();
            }
          }
        });
      }
    } finally {
      lease.release();
    }
  }

  close(): void {
    for (const buffer of this.#hidden.splice(0)) buffer.dispose();
    this.#pass.close();
  }

  async #onBatch(host: PackedBatch, run: (batch: DeviceBatch) => Promise<void>): Promise<void> {
    const batch = new DeviceBatch(this.options.model.device, host);
    try {
      await run(batch);
    } finally {
      batch.dispose();
    }
  }

  #hiddenOf(batch: number, variant: number): HostBuffer {
    return at(this.#hidden, batch * this.options.variants.length + variant);
  }

  #allocate(rows: number, label: string): Tensor {
    const { device, layout } = this.options.model;
    return device.allocate(
      [rows, layout.hiddenSize],
      device.profile.computeDType,
      'activations',
      label,
    );
  }

  #upload(rows: number, { bytes }: HostBuffer): Tensor {
    const { device } = this.options.model;
    const x = this.#allocate(rows, 'hidden state');
    device.upload(x, { bytes, dtype: device.profile.computeDType });
    return x;
  }
}
