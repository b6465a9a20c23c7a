import { at } from '@emloc/checked';
import type { LoraAdapter } from '@emloc/checkpoint';
import { Device, MemoryBudget, type Backend } from '@emloc/device';
import type { CudaBackend } from '@emloc/device-cuda';
import { defaultAdamw, initialAdapter, launchBoundTokens, train } from '@emloc/finetune';
import { layoutOf, textLimits, type ModelLayout } from '@emloc/models';
import { consecutive, TextRows } from '@emloc/tasks';
import { allDeviceBytes, openPager, type LayerSource } from '@emloc/weight-pager';

import { createRandom, normals } from './random.js';

const budgetBytes = 3 * 2 ** 30;
const usualSteps = 80;
const textsAStep = 4;
/** Of steps, in percent, that are made again at least. */
const leastReplayed = 50;

const sizes = { hidden_size: 256, intermediate_size: 512, vocab_size: 1024, head_dim: 64 };
const heads = { num_attention_heads: 4, num_key_value_heads: 2, rms_norm_eps: 1e-6 };
const decoder = { ...sizes, ...heads, num_hidden_layers: 4, tie_word_embeddings: false };

/** Attention, and gated delta nets, whose states are as many as chunks of all texts. */
const models = {
  'a Qwen 3': { ...decoder, architectures: ['Qwen3ForCausalLM'], rope_theta: 1e6 },
  'a Qwen 3.5': {
    ...{ ...decoder, architectures: ['Qwen3_5ForCausalLM'], model_type: 'qwen3_5_text' },
    ...{ linear_num_key_heads: 2, linear_num_value_heads: 4, linear_conv_kernel_dim: 4 },
    ...{ linear_key_head_dim: 64, linear_value_head_dim: 64, full_attention_interval: 4 },
    rope_parameters: { rope_type: 'default', rope_theta: 1e7, partial_rotary_factor: 0.25 },
  },
};

/**
 * Training on texts of varied lengths gives equal bits as graphs and launched one by one, and most
 * steps are made again.
 */
export async function checkRepeatedTraining(
  open: (options: { readonly useGraphs: boolean; readonly capacityBytes: number }) => CudaBackend,
  steps = usualSteps,
): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const [name, config] of Object.entries(models)) {
    const layout = layoutOf(config);
    const alone = await trainTexts(
      open({ useGraphs: false, capacityBytes: budgetBytes }),
      layout,
      steps,
    );
    const backend = open({ useGraphs: true, capacityBytes: budgetBytes });
    const repeated = await trainTexts(backend, layout, steps);
    if (!isEqual(alone, repeated))
      throw new Error(`${name} trains to other bits with graphs than without`);
    const { recorded, launched } = backend.graphUse;
    const replayed = launched - recorded;
    if (100 * replayed < leastReplayed * steps)
      throw new Error(`${name}: ${replayed} of ${steps} steps came from graphs`);
    lines.push(
      `${name} on texts of varied lengths: ${replayed} of ${steps} steps from ${recorded} graphs, equal bits`,
    );
  }
  return lines;
}

interface Trained {
  readonly losses: readonly number[];
  readonly adapter: LoraAdapter;
}

/** Closes the backend. */
async function trainTexts(backend: Backend, layout: ModelLayout, steps: number): Promise<Trained> {
  const device = new Device(backend, new MemoryBudget(budgetBytes));
  const source = randomWeights(layout);
  const deviceBytes = allDeviceBytes(source, device);
  const pager = openPager({ device, source, deviceBytes, hostBytes: budgetBytes });
  const losses: number[] = [];
  const schedule = { kind: 'constant', learningRate: 1e-3, steps, warmupRatio: 0 } as const;
  try {
    const { adapter } = await train({
      model: { device, layout, pager },
      adapter: initialAdapter(layout, { rank: 8, alpha: 16, useRslora: false, targets: null }, 1),
      rows: randomTexts(layout, steps * textsAStep),
      batches: consecutive(steps * textsAStep, textsAStep).map((rows) => [rows]),
      ...{ schedule, optimizer: defaultAdamw, keptBlocks: 2 },
      roundedTokens: launchBoundTokens({ layout, profile: device.profile }),
      dropout: { probability: 0.1, seed: 5, run: 'check' },
      onStep: ({ loss }) => losses.push(loss),
    });
    return { losses, adapter };
  } finally {
    await pager.close();
    await device.close();
  }
}

function randomTexts(layout: ModelLayout, count: number): TextRows {
  const random = createRandom(17);
  const { vocabularySize } = textLimits(layout);
  return new TextRows(
    Array.from({ length: count }, () => {
      const length = 24 + Math.floor(150 * random() ** 2);
      return {
        ids: Int32Array.from({ length }, () => Math.floor(random() * vocabularySize)),
        trained: Uint8Array.from({ length }, (_, index) => (index < length / 3 ? 0 : 1)),
        line: 1,
      };
    }),
  );
}

/** Normal values; norms and what belongs to one head alone are near 1. */
function randomWeights({ pages }: ModelLayout): LayerSource {
  return {
    layers: pages.map(({ name, tensors }) => ({
      name,
      tensors: tensors.map(({ name: tensor, shape, deviceDType }) => ({
        ...{ name: tensor, shape, deviceDType },
        dtype: 'float32' as const,
      })),
    })),
    read: (layer, tensor, destination) => {
      const values = normals(
        destination.byteLength / 4,
        createRandom(layer * 7919 + tensor.length * 131 + tensor.charCodeAt(0)),
        0.05,
      );
      const isScale =
        at(
          at(pages, layer).tensors.filter(({ name }) => name === tensor),
          0,
        ).shape.length === 1;
      if (isScale) values.forEach((value, index) => (values[index] = 1 + value));
      destination.set(new Uint8Array(values.buffer));
      return Promise.resolve();
    },
  };
}

function isEqual(one: Trained, other: Trained): boolean {
  const same = (a: ArrayLike<number>, b: ArrayLike<number> | undefined): boolean =>
    a.length === b?.length && Array.from(a).every((value, index) => Object.is(value, b[index]));
  return (
    one.losses.every(Number.isFinite) &&
    same(one.losses, other.losses) &&
    [...one.adapter.layers].every(([path, { a, b }]) => {
      const found = other.adapter.layers.get(path);
      return same(a, found?.a) && same(b, found?.b);
    })
  );
}
