import { backwardBlock, type BlockBindings, forwardBlock, type GradientPlan, inferBlock, planGradients, type SavedBlock } from '@emloc/autograd';
import type { PackedBatch } from '@emloc/dataset';
import type { Tensor } from '@emloc/device';
import { bindBlock } from '@emloc/models';
import type { DeviceAdapter } from './device-adapter.js';
import { DeviceBatch } from './device-batch.js';
import { runHead } from './head.js';
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

/** Runs forward and backward, block by block in the pager's `trainingOrder`. Resolves to the losses of the targets, float32 (M). */
export async function runMicroBatch(inputs: MicroBatch): Promise<Float32Array> {
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
  #gradient: Tensor | null = null;

  constructor(private readonly inputs: MicroBatch) {
    this.#batch = new DeviceBatch(inputs.model.device, inputs.batch);
  }

  async run(): Promise<Float32Array> {
    const { layout } = this.inputs.model;
    const { lowestBlock } = this.inputs.adapter;
    await this.#embed();
    for (let block = 0; block < layout.blockCount; block += 1) await this.#forward(block, lowestBlock);
    const losses = await this.#head();
    for (let block = layout.blockCount - 1; block >= lowestBlock; block -= 1) await this.#backward(block);
    return losses;
  }

  dispose(): void {
    for (const tensor of this.#inputs.splice(0)) if (!tensor.isDisposed) tensor.dispose();
    for (const saved of this.#saved.values()) saved.dispose();
    this.#saved.clear();
    this.#gradient?.dispose();
    this.#batch.dispose();
  }

  async #embed(): Promise<void> {
    const { device, layout, pager } = this.inputs.model;
    const lease = await pager.acquire(layout.embedUnit);
    try {
      const table = required(lease.tensors.get(layout.embedTensor), layout.embedTensor);
      const x = device.allocate([this.#batch.rows, layout.hiddenSize], device.profile.computeDType, 'saved', 'input of block 0');
      this.#inputs.push(x);
      device.kernels.embedding({ table, rows: this.#batch.ids, out: x });
    } finally {
      lease.release();
    }
  }

  async #forward(block: number, lowestBlock: number): Promise<void> {
    const { model, keptBlocks } = this.inputs;
    const x = required(this.#inputs[block], `input of block ${block}`);
    const keep = block >= lowestBlock && block >= model.layout.blockCount - keptBlocks;
    const lease = await model.pager.acquire(model.layout.blockUnit(block));
    try {
      const bindings = this.#bind(block, lease.tensors);
      if (keep) {
        const { output, saved } = forwardBlock(model.layout.program, bindings, x, this.#plan(block));
        this.#saved.set(block, saved);
        this.#inputs.push(output);
      } else {
        this.#inputs.push(inferBlock(model.layout.program, bindings, x));
      }
    } finally {
      lease.release();
    }
    if (block < lowestBlock) x.dispose();
  }

  async #head(): Promise<Float32Array> {
    const { device, layout, pager } = this.inputs.model;
    const lease = await pager.acquire(layout.headUnit);
    const x = required(this.#inputs.pop(), 'output of the last block');
    try {
      const { gradientScale } = this.inputs;
      const head = runHead({ device, layout, tensors: lease.tensors, x, batch: this.#batch, gradientScale });
      this.#gradient = head.dX;
      try {
        return (await device.download(head.losses)) as Float32Array;
      } finally {
        head.dispose();
      }
    } finally {
      lease.release();
      x.dispose();
    }
  }

  async #backward(block: number): Promise<void> {
    const { model } = this.inputs;
    const lease = await model.pager.acquire(model.layout.blockUnit(block));
    const x = required(this.#inputs.pop(), `input of block ${block}`);
    try {
      const bindings = this.#bind(block, lease.tensors);
      const saved = this.#saved.get(block) ?? this.#recompute(block, lease.tensors, x);
      this.#saved.delete(block);
      const dOut = required(this.#gradient, `gradient of block ${block}`);
      this.#gradient = null;
      this.#gradient = backwardBlock(saved, { bindings, x, dOut });
    } finally {
      lease.release();
      x.dispose();
    }
  }

  #recompute(block: number, tensors: ReadonlyMap<string, Tensor>, x: Tensor): SavedBlock {
    const { output, saved } = forwardBlock(this.inputs.model.layout.program, this.#bind(block, tensors), x, this.#plan(block));
    output.dispose();
    return saved;
  }

  #bind(block: number, tensors: ReadonlyMap<string, Tensor>): BlockBindings {
    const { model, pass, adapter } = this.inputs;
    return bindBlock(tensors, {
      device: model.device,
      sequences: this.#batch.sequences,
      rope: pass.rope,
      adapter: (linear) => adapter.binding(block, linear),
    });
  }

  #plan(block: number): GradientPlan {
    const { model, adapter } = this.inputs;
    const inputNeedsGradient = block > adapter.lowestBlock;
    return planGradients(model.layout.program, { adapted: adapter.adaptedIn(block), inputNeedsGradient });
  }
}

function required<T>(value: T | null | undefined, name: string): T {
  if (value === undefined || value === null) throw new Error(`training step: ${name} is missing`);
  return value;
}
