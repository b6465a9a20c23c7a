import { createCpuBackend } from '@emloc/device-cpu';
import { cudaProfile } from '@emloc/device-cuda';
import { parameterCount } from '@emloc/models';

import { fluxConfigs } from './flux-shape.js';
import { fluxTask, runForwards, syntheticFlux } from './gpu-flux.js';
import { planTraining, runTraining } from './gpu-training.js';

const profile = cudaProfile();
const gibibyte = 2 ** 30;
/** A block of each kind, heads of 16. */
const smallConfigs = {
  ...fluxConfigs,
  transformer: {
    ...fluxConfigs.transformer,
    num_layers: 1,
    num_single_layers: 1,
    attention_head_dim: 16,
    num_attention_heads: 2,
    axes_dims_rope: [4, 6, 6],
  },
};

test('the transformer behind its front has 8.6 of the published 11.9 B parameters', () => {
  const { layout, limits } = syntheticFlux({ ratio: 0.45, profile });
  const [width, rowsOfDouble, rowsOfSingle] = [3072, 2 * (4 + 8), 12];
  const weights = (19 * rowsOfDouble + 38 * rowsOfSingle) * width ** 2;
  const biases = (19 * 18 + 38 * 8) * width + (19 * 4 + 38 * 2) * 128;
  const embedders = width * (64 + limits.promptWidth + 2) + 64 * (width + 1);
  expect(parameterCount(layout)).toBe(weights + biases + embedders);
});

test('a step at 512² keeps every block within 16 GiB', async () => {
  const model = syntheticFlux({ ratio: 0.45, profile });
  const step = { size: 512, images: 1, loraRank: 4, steps: 1, budgetBytes: 16 * gibibyte };
  const { keptBlocks } = await planTraining(fluxTask(model, 'emulator', step), profile);
  expect(keptBlocks).toBe(model.layout.blocks.length - 1);
});

test('a small model trains to finite losses, and samples, on batches that bring its modulation', async () => {
  const backend = createCpuBackend();
  const model = syntheticFlux({ ratio: 0.45, profile: backend.profile, configs: smallConfigs });
  const step = { size: 64, images: 2, loraRank: 4, steps: 3, budgetBytes: gibibyte };
  for (const on of ['emulator', 'original'] as const) {
    const task = fluxTask(model, on, step);
    const memory = await planTraining(task, backend.profile);
    const { losses } = await runTraining(task, backend, { memory, reads: 'real' });
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(losses[2]).toBeLessThan(Number(losses[0]));
  }
  const budgetBytes = gibibyte;
  expect(await runForwards(backend, model, { size: 64, times: 2, budgetBytes })).toHaveLength(2);
});
