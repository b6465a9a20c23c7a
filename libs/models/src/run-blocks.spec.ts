import {
  forwardBlock,
  inferBlock,
  planGradients,
  type BlockBindings,
  type BlockOutcome,
  type Streams,
} from '@emloc/autograd';
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
import { bindBlock, type BlockRunInputs } from './bind.js';
import { lossBlock, type Block } from './layout.js';
import { openModel, type Model } from './open-model.js';
import { ropeTables } from './rope.js';

const offsets = [0, 5, 6, 9];
const ids = Int32Array.from([3, 17, 4, 51, 8, 0, 22, 22, 55]);
const positions = Int32Array.from([0, 1, 2, 3, 4, 0, 0, 1, 2]);

interface Losses {
  readonly values: readonly number[];
  /** Output of the last layer. */
  readonly hidden: readonly number[];
}

/** −log p(a token) after every row, through the whole chain with everything on the device. */
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
    const { layout } = this.model;
    const inputs = this.#inputs();
    let streams: Streams = new Map();
    for (const block of layout.blocks.slice(0, -1)) {
      const { outputs } = await this.#run(block, inputs, streams);
      streams = new Map([...streams, ...outputs]);
    }
    const { results } = await this.#run(lossBlock(layout), inputs, streams);
    return {
      values: await this.#numbers(get(results, 'losses')),
      hidden: await this.#numbers(get(streams, 'hidden')),
    };
  }

  dispose(): void {
    for (const tensor of this.#owned) tensor.dispose();
  }

  #inputs(): BlockRunInputs {
    const integers = {
      ids,
      targetRows: Int32Array.from(ids.keys()),
      targets: Int32Array.from(ids, (id) => (id + 1) % 56),
    };
    const tokens = {
      offsets,
      deviceOffsets: this.#integers(Int32Array.from(offsets)),
      positions: this.#integers(positions),
      maxLength: 5,
    };
    return {
      device: this.device,
      layouts: new Map([['tokens', tokens]]),
      integers: new Map(
        Object.entries(integers).map(([stream, values]) => [stream, this.#integers(values)]),
      ),
      ropes: new Map(
        [...this.model.layout.ropes].map(([name, { spec }]) => {
          const { cos, sin } = ropeTables(spec.frequencies(8), 8);
          const shape = [8, spec.rotaryDim / 2];
          return [name, { cos: this.#floats(cos, shape), sin: this.#floats(sin, shape) }];
        }),
      ),
      gradientScale: this.#floats(Float32Array.of(1), [1]),
    };
  }

  /** Runs a block as inference does, and expects the same of a forward that keeps tensors. */
  async #run(block: Block, inputs: BlockRunInputs, streams: Streams) {
    const { program } = block;
    const bindings = bindBlock(block, await this.#page(block.page), inputs);
    const outcome = inferBlock(program, bindings, streams);
    for (const tensors of [outcome.outputs, outcome.results])
      for (const tensor of tensors.values()) this.#own(tensor);
    await this.#expectSame(block, bindings, { streams, outcome });
    return outcome;
  }

  async #expectSame(
    { program }: Block,
    bindings: BlockBindings,
    { streams, outcome }: { streams: Streams; outcome: BlockOutcome },
  ): Promise<void> {
    const plan = planGradients(program, {
      adapted: new Set(),
      inputs: new Set(program.inputs.keys()),
    });
    const { outputs, results, saved } = forwardBlock(program, bindings, streams, plan);
    saved.dispose();
    for (const [kept, given] of [
      [outputs, outcome.outputs],
      [results, outcome.results],
    ] as const) {
      expect([...kept.keys()]).toEqual([...given.keys()]);
      for (const [name, tensor] of kept) {
        expect(await this.#numbers(tensor)).toEqual(await this.#numbers(get(given, name)));
        tensor.dispose();
      }
    }
  }

  async #numbers(tensor: Tensor): Promise<readonly number[]> {
    return [...((await this.device.download(tensor)) as Float32Array)];
  }

  async #page(page: number): Promise<ReadonlyMap<string, Tensor>> {
    const tensors = new Map<string, Tensor>();
    for (const { name, shape } of this.model.source.layers[page]?.tensors ?? []) {
      const values = new Float32Array(shape.reduce((product, extent) => product * extent, 1));
      await this.model.source.read(page, name, new Uint8Array(values.buffer));
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
