import {
  backwardBlock,
  forwardBlock,
  inferBlock,
  planGradients,
  type BlockBindings,
  type GradientPlan,
  type SavedBlock,
} from '@emloc/autograd';
import { at, get, required } from '@emloc/checked';
import type { PackedBatch } from '@emloc/dataset';
import type { Tensor } from '@emloc/device';
import { bindBlock } from '@emloc/models';

import type { DeviceAdapter } from './device-adapter.js';
import { DeviceBatch } from './device-batch.js';
import { runHead } from './head.js';
import { lendFactors } from './lent-factors.js';
import type { PagedModel, PassContext } from './paged-model.js';

/** One micro-batch of training: the adapter's gradients are accumulated, nothing is updated. */
export interface MicroBatch {
  readonly model: PagedModel;
  readonly pass: PassContext;
  readonly adapter: DeviceAdapter;
  readonly batch: PackedBatch;
  /** Factor of the loss: 1 / trained-on tokens of the whole optimizer step. */
  readonly gradientScale: number;
  /** The last so many blocks keep their saved tensors; the others run their forward twice. */
  readonly keptBlocks: number;
}

/** A micro-batch whose work is launched. */
export interface LaunchedMicroBatch {
  /** Losses of the targets, float32 (M), once the device is done. */
  readonly losses: Promise<Float32Array>;
}

/**
 * Launches forward and backward, block by block in the pager's `trainingOrder`. It waits for
 * weights, never for results: so the device has work while the host prepares what comes next.
 */
export async function runMicroBatch(inputs: MicroBatch): Promise<LaunchedMicroBatch> {
  const run = new MicroBatchRun(inputs);
  try {
    return await run.run();
  } finally {
    run.dispose();
  }
}

class MicroBatchRun {
  readonly #batch: DeviceBatch;
  /** Input of every block, kept for its backward. */
  readonly #inputs: Tensor[] = [];
  readonly #saved = new Map<number, SavedBlock>();
  /** Of blocks that differ in nothing that a plan depends on. */
  readonly #plans = new Map<string, GradientPlan>();
  readonly #lowestBlock: number;
  #gradient: Tensor | null = null;
  /** float32 (M), of the targets */
  #losses: Tensor | null = null;

  constructor(private readonly inputs: MicroBatch) {
    this.#batch = new DeviceBatch(inputs.model.device, inputs.batch);
    this.#lowestBlock = inputs.adapter.lowestBlock;
  }

  async run(): Promise<LaunchedMicroBatch> {
    const { layout } = this.inputs.model;
    const { lowestBlock } = this.inputs.adapter;
    await this.#embed();
    for (let block = 0; block < layout.blockCount; block += 1)
      await this.#forward(block, lowestBlock);
    await this.#head();
    for (let block = layout.blockCount - 1; block >= lowestBlock; block -= 1)
      await this.#backward(block);
    return {
      losses: this.inputs.model.device.download(
        required(this.#losses, 'losses'),
      ) as Promise<Float32Array>,
    };
  }

  dispose(): void {
    for (const tensor of this.#inputs.splice(0)) if (!tensor.isDisposed) tensor.dispose();
    for (const saved of this.#saved.values()) saved.dispose();
    this.#saved.clear();
    this.#gradient?.dispose();
    this.#losses?.dispose();
    this.#batch.dispose();
  }

  async #embed(): Promise<void> {
    const { device, layout, pager } = this.inputs.model;
    const lease = await pager.acquire(layout.embedUnit);
    try {
      const table = get(lease.tensors, layout.embedTensor);
      const x = device.allocate(
        [this.#batch.rows, layout.hiddenSize],
        device.profile.computeDType,
        'saved',
        'input of block 0',
      );
      this.#inputs.push(x);
      device.kernels.gatherRows({ table, rows: this.#batch.ids, out: x });
    } finally {
      lease.release();
    }
  }

  async #forward(block: number, lowestBlock: number): Promise<void> {
    const { model, keptBlocks } = this.inputs;
    const x = at(this.#inputs, block);
    const keep = block >= lowestBlock && block >= model.layout.blockCount - keptBlocks;
    await this.#withBlock(block, (bindings) => {
      if (keep) {
        const { output, saved } = forwardBlock(
          model.layout.program,
          bindings,
          x,
          this.#plan(block),
        );
        this.#saved.set(block, saved);
        this.#inputs.push(output);
      } else {
        this.#inputs.push(inferBlock(model.layout.program, bindings, x));
      }
    });
    if (block < lowestBlock) x.dispose();
  }

  async #head(): Promise<void> {
    const { device, layout, pager } = this.inputs.model;
    const lease = await pager.acquire(layout.headUnit);
    const x = required(this.#inputs.pop(), 'output of the last block');
    try {
      const { gradientScale } = this.inputs;
      const head = runHead({
        device,
        layout,
        tensors: lease.tensors,
        x,
        batch: this.#batch,
        gradientScale,
      });
      this.#gradient = head.dX;
      this.#losses = head.losses.retain();
      head.dispose();
    } finally {
      lease.release();
      x.dispose();
    }
  }

  async #backward(block: number): Promise<void> {
    await this.#withBlock(block, (bindings) => {
      const x = required(this.#inputs.pop(), `input of block ${block}`);
      try {
        const saved = this.#saved.get(block) ?? this.#recompute(block, bindings, x);
        this.#saved.delete(block);
        const dOut = required(this.#gradient, `gradient of block ${block}`);
        this.#gradient = null;
        this.#gradient = backwardBlock(saved, { bindings, x, dOut });
      } finally {
        x.dispose();
      }
    });
  }

  #recompute(block: number, bindings: BlockBindings, x: Tensor): SavedBlock {
    const { output, saved } = forwardBlock(
      this.inputs.model.layout.program,
      bindings,
      x,
      this.#plan(block),
    );
    output.dispose();
    return saved;
  }

  /** Runs `use` with a block's weights on the device and its adapters bound. */
  async #withBlock(block: number, use: (bindings: BlockBindings) => void): Promise<void> {
    const { model, pass, adapter } = this.inputs;
    const lease = await model.pager.acquire(model.layout.blockUnit(block));
    try {
      const factors = lendFactors({ model, adapter, block, tensors: lease.tensors });
      try {
        use(
          bindBlock(lease.tensors, {
            device: model.device,
            sequences: this.#batch.sequences,
            rope: pass.rope,
            adapter: (linear) => adapter.binding(block, linear),
            adapterAt: (linear) => factors.at(linear),
          }),
        );
      } finally {
        factors.takeBack();
      }
    } finally {
      lease.release();
    }
  }

  #plan(block: number): GradientPlan {
    const { model, adapter } = this.inputs;
    const inputNeedsGradient = block > this.#lowestBlock;
    const adapted = adapter.adaptedIn(block);
    const key = `${[...adapted].join()} ${inputNeedsGradient}`;
    const plan =
      this.#plans.get(key) ?? planGradients(model.layout.program, { adapted, inputNeedsGradient });
    this.#plans.set(key, plan);
    return plan;
  }
}
