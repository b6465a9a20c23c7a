import { cudaProfile } from '@emloc/device-cuda';
import { parameterCount } from '@emloc/models';

import { gpuBudgets, identityBudgets } from './gpu-budgets.js';
import { syntheticModel } from './gpu-model.js';
import { defaultShape, gpuShapes } from './gpu-shapes.js';

const profile = cudaProfile();

test.each([
  ['qwen2.5-7b', 7_615_616_512],
  ['qwen3-8b', 8_190_735_360],
  ['llama-3.1-8b', 8_030_261_248],
  ['mistral-small-24b', 23_572_403_200],
  ['gemma-3-12b', 11_766_034_176],
])('%s has as many parameters as the published model', (shape, parameters) => {
  expect(gpuShapes.has(shape)).toBe(true);
  const { layout, firstLinears } = syntheticModel({ shape, ratio: 0.4, profile });
  expect(parameterCount(layout)).toBe(parameters);
  expect(firstLinears).toHaveLength(7);
});
