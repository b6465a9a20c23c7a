import { at } from '@emloc/checked';
import { cudaProfile } from '@emloc/device-cuda';
import { parameterCount } from '@emloc/models';

import { gpuBudgets, identityBudgets } from './gpu-budgets.js';
import { measureGeneration } from './gpu-generate.js';
import { syntheticModel } from './gpu-model.js';
import { gpuShapes } from './gpu-shapes.js';

const profile = cudaProfile();

describe.each([
  ['qwen2.5-7b', 7_615_616_512, 7],
  ['qwen3-8b', 8_190_735_360, 7],
  ['llama-3.1-8b', 8_030_261_248, 7],
  ['llama-3.2-1b', 1_235_814_400, 7],
  ['mistral-small-24b', 23_572_403_200, 7],
  ['gemma-3-12b', 11_766_034_176, 7],
  ['gemma-4-31b', 30_697_345_340, 7],
  // Without the table of its layers' inputs, which stays on the host.
  ['gemma-4-e4b', 4_644_441_130, 7],
  // The gates of their delta nets stay whole.
  ['qwen3.5-9b', 8_953_803_264, 6],
  ['qwen3.6-27b', 26_895_998_464, 6],
])('%s', (shape, parameters, linears) => {
  it('has as many parameters as the published model', () => {
    expect(gpuShapes.has(shape)).toBe(true);
    const { layout, firstLinears } = syntheticModel({ shape, ratio: 0.4, profile });
    expect(parameterCount(layout)).toBe(parameters);
    expect(firstLinears).toHaveLength(linears);
  });

  it('is measured within its weights and no more than 2 GiB beside them', async () => {
    const model = syntheticModel({ shape, ratio: 0.4, profile });
    const { train, paged } = await gpuBudgets({ shape, vramBytes: null }, model, profile);
    for (const bytes of [train, paged]) expect(bytes).toBeLessThan(2 * parameters + 2 ** 31);
    expect(train).toBeGreaterThan(2 * parameters);
  });
});

test('a stated budget is that of training and of paging', async () => {
  const shape = 'qwen3-8b';
  const model = syntheticModel({ shape, ratio: 0.4, profile, blocks: 1 });
  const budgets = await gpuBudgets({ shape, vramBytes: 14 * 2 ** 30 }, model, profile);
  expect(budgets).toEqual({ train: 14 * 2 ** 30, paged: 14 * 2 ** 30 });
});

test('of a shape without budgets of its own, identity pages in less than what keeps everything', async () => {
  const shape = 'qwen3-8b';
  const { layout, emulator } = syntheticModel({ shape, ratio: 0.4, profile, blocks: 2 });
  const budgets = await identityBudgets(
    shape,
    { layout, source: emulator, loraRank: 1, sequences: 1, sequenceLength: 64, steps: 1 },
    profile,
  );
  expect(at(budgets, 0)).toBe(at(budgets, 1));
  expect(at(budgets, 2)).toBeLessThan(at(budgets, 0));
});

test('answers are measured with all weights on the card, and with a quarter of them', async () => {
  const model = syntheticModel({ shape: 'qwen3-8b', ratio: 1, profile, blocks: 8 });
  const budgets: number[] = [];
  const figures = { tokensPerSecond: 2, prefillSeconds: 1, stallSeconds: 0 };
  const rows = await measureGeneration(model, profile, (budgetBytes) => {
    budgets.push(budgetBytes);
    return Promise.resolve({ figures, peakBytes: budgetBytes });
  });
  expect(rows.map(({ detail }) => detail.split(',').slice(0, 2))).toEqual([
    ['1 at a time', ' all weights resident'],
    ['16 at a time', ' all weights resident'],
    ['1 at a time', ' weights paged'],
    ['16 at a time', ' weights paged'],
  ]);
  const weights = 2 * parameterCount(model.layout);
  expect(at(budgets, 0)).toBeGreaterThan(weights);
  expect(at(budgets, 1)).toBeGreaterThan(at(budgets, 0));
  expect(at(budgets, 3)).toBeLessThan(weights);
});
