import { forwardBlock, inferBlock, planGradients } from '@emloc/autograd';
import { get } from '@emloc/checked';
import { Device, MemoryBudget, type Tensor } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';

import {
  llamaConfig,
  qwen2Config,
  writeCheckpoint,
  type CheckpointChanges,
  type Config,
} from '../test/checkpoints.js';
import { bindBlock } from './bind.js';
import { openModel, type Model } from './open-model.js';
import { ropeTables } from './rope.js';

const offsets = [0, 5, 6, 9];
const ids = Int32Array.from([3, 17, 4, 51, 8, 0, 22, 22, 55]);
const positions = Int32Array.from([0, 1, 2, 3, 4, 0, 0, 1, 2]);

interface Losses {
  readonly values: readonly number[];
  /** Output of the last block. */
  readonly hidden: readonly number[];
}

/** −log p(next token) of every row, through all units with everything on the device. */
async function lossesOf(config: Config, changes: CheckpointChanges = {}): Promise<Losses> {
  const checkpoint = await writeCheckpoint(config, changes);
  const model = await openModel(checkpoint.folder);
  const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 28));
  const run = new ModelRun(device, model);
  try {
    return await run.losses();
  } finally {
    run.dispose();
    expect(device.liveTensors).toBe(0);
    expect(device.budget.inUseBytes).toBe(cpuProfile.reserveBytes);
    await device.close();
    await model.close();
    await checkpoint.close();
  }
}

class ModelRun {
  readonly #owned: Tensor[] = [];

  constructor(
    private readonly device: Device,
    private readonly model: Model,
  ) {}

  async losses(): Promise<Losses> {
    const {
      device,
      model: { layout },
    } = this;
    const tables = ropeTables(layout.rope, 8);
    const rope = {
      cos: this.#floats(tables.cos, [8, layout.rope.headDim / 2]),
      sin: this.#floats(tables.sin, [8, layout.rope.headDim / 2]),
    };
    const sequences = {
      offsets,
      deviceOffsets: this.#integers(Int32Array.from(offsets)),
      positions: this.#integers(positions),
      maxLength: 5,
    };
    const embed = await this.#unit(layout.embedUnit);
    let x = this.#own(
      device.allocate([ids.length, layout.hiddenSize], 'float32', 'activations', 'x'),
    );
    device.kernels.embedding({
      table: get(embed, layout.embedTensor),
      rows: this.#integers(ids),
      out: x,
    });
    for (let block = 0; block < layout.blockCount; block += 1) {
      const bindings = bindBlock(await this.#unit(layout.blockUnit(block)), {
        device,
        sequences,
        rope,
      });
      const out = this.#own(inferBlock(layout.program, bindings, x));
      const plan = planGradients(layout.program, { adapted: new Set(), inputNeedsGradient: true });
      const forward = forwardBlock(layout.program, bindings, x, plan);
      expect(await device.download(forward.output)).toEqual(await device.download(out));
      forward.output.dispose();
      forward.saved.dispose();
      x = out;
    }
    return { values: [...(await this.#head(x))], hidden: [...(await device.download(x))] };
  }

  dispose(): void {
    for (const tensor of this.#owned) tensor.dispose();
  }

  async #head(x: Tensor): Promise<Float32Array> {
    const {
      device,
      model: { layout },
    } = this;
    const unit = await this.#unit(layout.headUnit);
    const allocate = (shape: readonly number[], dtype: 'float32' | 'int32' = 'float32'): Tensor =>
      this.#own(device.allocate(shape, dtype, 'activations', 'head'));
    const [normed, inverseRms, logits] = [
      allocate(x.shape),
      allocate([ids.length]),
      allocate([ids.length, layout.vocabularySize]),
    ];
    device.kernels.rmsNorm({
      x,
      weight: get(unit, layout.finalNorm.tensor),
      epsilon: layout.finalNorm.epsilon,
      out: normed,
      inverseRms,
    });
    device.kernels.gemm({
      a: normed,
      b: get(unit, layout.headTensor),
      transposeB: true,
      out: logits,
    });
    const [loss, prediction, targets] = [
      allocate([ids.length]),
      allocate([ids.length], 'int32'),
      this.#integers(Int32Array.from(ids, (id) => (id + 1) % 56)),
    ];
    device.kernels.crossEntropy({ logits, targets, loss, prediction });
    return (await device.download(loss)) as Float32Array;
  }

  async #unit(unit: number): Promise<ReadonlyMap<string, Tensor>> {
    const tensors = new Map<string, Tensor>();
    for (const { name, shape } of this.model.source.layers[unit]?.tensors ?? []) {
      const values = new Float32Array(shape.reduce((product, extent) => product * extent, 1));
      await this.model.source.read(unit, name, new Uint8Array(values.buffer));
      tensors.set(name, this.#floats(values, shape));
    }
    return tensors;
  }

  #floats(values: Float32Array, shape: readonly number[]): Tensor {
    return this.#own(
      this.device.tensor(
        { bytes: new Uint8Array(values.buffer), dtype: 'float32' },
        shape,
        'float32',
        'weights',
        'floats',
      ),
    );
  }

  #integers(values: Int32Array): Tensor {
    return this.#own(
      this.device.tensor(
        { bytes: new Uint8Array(values.buffer), dtype: 'int32' },
        [values.length],
        'int32',
        'activations',
        'integers',
      ),
    );
  }

  #own(tensor: Tensor): Tensor {
    this.#owned.push(tensor);
    return tensor;
  }
}

describe.each([
  ['Llama', llamaConfig],
  ['Qwen2', qwen2Config],
])('%s', (_name, config) => {
  it('gives equal losses with a tied head and with an untied copy of the embedding', async () => {
    const tied = await lossesOf({ ...config, tie_word_embeddings: true });
    const copied = await lossesOf(
      { ...config, tie_word_embeddings: false },
      { valuesOf: { 'lm_head.weight': 'model.embed_tokens.weight' } },
    );
    const untied = await lossesOf({ ...config, tie_word_embeddings: false });
    expect(copied).toEqual(tied);
    expect(untied.hidden).toEqual(tied.hidden);
    expect(untied.values).not.toEqual(tied.values);
    for (const loss of tied.values) expect(loss).toBeGreaterThan(0);
  });

  it('gives finite states that depend on what comes before', async () => {
    const { hidden } = await lossesOf(config);
    // Rows 6 and 7 are the same token, first and second of its sequence.
    expect(hidden.slice(6 * 24, 7 * 24)).not.toEqual(hidden.slice(7 * 24, 8 * 24));
    expect(hidden.every(Number.isFinite)).toBe(true);
  });
});

it('adds biases where the checkpoint has them', async () => {
  const llama = await lossesOf(llamaConfig);
  expect((await lossesOf({ ...llamaConfig, attention_bias: true })).hidden).not.toEqual(
    llama.hidden,
  );
  expect((await lossesOf({ ...llamaConfig, mlp_bias: true })).hidden).not.toEqual(llama.hidden);
});

it('reads the old and the new form of the rotary base as the same model', async () => {
  const old = await lossesOf({ ...llamaConfig, rope_theta: 500 });
  expect(
    await lossesOf({ ...llamaConfig, rope_parameters: { rope_theta: 500, rope_type: 'default' } }),
  ).toEqual(old);
  expect(await lossesOf(llamaConfig)).not.toEqual(old);
});
