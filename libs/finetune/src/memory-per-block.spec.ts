import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '@emloc/checkpoint';
import { packBatch } from '@emloc/dataset';
import { Device, elementCount, MemoryBudget } from '@emloc/device';
import { cpuProfile } from '@emloc/device-cpu';
import { createNullBackend } from '@emloc/device-null';
import { layoutOf, openModel } from '@emloc/models';
import { minimumDeviceBytes, openPager } from '@emloc/weight-pager';
import { fullRow } from '../test/fixtures.js';
import { initialAdapter } from './lora.js';
import { defaultAdamw } from './optimizer.js';
import { train } from './train.js';

const hidden = 32;
const rank = 4;
const lengths = [17, 40];

function configOf(blocks: number): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_size: hidden, intermediate_size: 80, num_hidden_layers: blocks,
    num_attention_heads: 4, num_key_value_heads: 2, vocab_size: 64, max_position_embeddings: 128, rms_norm_eps: 1e-6, hidden_act: 'silu',
    rope_theta: 10_000, tie_word_embeddings: true,
  };
}

/** A checkpoint of zeros: what is measured depends on shapes alone. */
async function writeModel(folder: string, blocks: number): Promise<void> {
  const config = configOf(blocks);
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const tensors = layoutOf(config).units.flatMap(({ tensors: specs }) => specs);
  const entries = tensors.map(({ checkpointName, shape }) =>
    ({ name: checkpointName, shape, dtype: 'float32' as const, data: () => new Uint8Array(4 * elementCount(shape)) }));
  await writeSafetensors(join(folder, 'model.safetensors'), entries, {});
}

interface Measured {
  readonly besideWeightBytes: number;
  /** LoRA parameters of one block. */
  readonly loraBytesPerBlock: number;
}

async function trainingMemory(blocks: number): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'emloc-blocks-'));
  try {
    await writeModel(folder, blocks);
    const model = await openModel(folder);
    const budget = new MemoryBudget(2 ** 40);
    const device = new Device(createNullBackend(cpuProfile), budget);
    const { source, layout } = model;
    const pager = openPager({ device, source, deviceBytes: minimumDeviceBytes(source, device), hostBytes: 2 ** 40, reads: 'none' });
    const adapter = initialAdapter(layout, { rank, alpha: 8, useRslora: false, targets: null }, 0);
    const scope = budget.openPeakScope(['weights']);
    await train({
      model: { device, layout, pager }, adapter, optimizer: defaultAdamw, keptBlocks: 0,
      rows: lengths.map((length) => fullRow(Array.from({ length }, (_, index) => index % 64))), batches: [[[0, 1]], [[1, 0]]],
      schedule: { kind: 'constant', learningRate: 1e-3, steps: 2, warmupRatio: 0 },
    });
    const besideWeightBytes = scope.close();
    await pager.close();
    await device.close();
    await model.close();
    const elements = layout.linears.reduce((sum, { inFeatures, outFeatures }) => sum + rank * (inFeatures + outFeatures), 0);
    return { besideWeightBytes, loraBytesPerBlock: 4 * elements };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('memory of training with recomputation', () => {
  it('grows per block by its LoRA parameters, gradients and moments and by its kept input, and by nothing else', async () => {
    const [four, eight, sixteen] = [await trainingMemory(4), await trainingMemory(8), await trainingMemory(16)];
    const rows = packBatch(lengths.map((length) => fullRow(Array.from({ length }, () => 0)))).tokens;
    const expectedPerBlock = 4 * four.loraBytesPerBlock + rows * hidden * 4;
    // One squared gradient norm per parameter, and the rounding of its tensor to whole allocations.
    const slackBytes = (blocks: number): number => blocks * 14 * 4 + cpuProfile.allocationBytes;
    const growth = (from: Measured, to: Measured): number => to.besideWeightBytes - from.besideWeightBytes;
    expect(growth(four, eight)).toBeGreaterThanOrEqual(4 * expectedPerBlock);
    expect(growth(four, eight)).toBeLessThanOrEqual(4 * expectedPerBlock + slackBytes(4));
    expect(growth(eight, sixteen)).toBeGreaterThanOrEqual(8 * expectedPerBlock);
    expect(growth(eight, sixteen)).toBeLessThanOrEqual(8 * expectedPerBlock + slackBytes(8));
  });
});
