import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';
import type { CudaBackend } from '@emloc/device-cuda';

import { checkRepeatedTraining } from './repeated-training-checks.js';

/** The CPU as a card that makes so many steps again. */
function cardOf(launched: number): CudaBackend {
  const profile = { ...cpuProfile, launchOperations: 8e9 };
  const graphUse = { recorded: 5, launched: 5 + launched };
  return Object.defineProperties(createCpuBackend(), {
    profile: { value: profile },
    graphUse: { value: graphUse },
  }) as unknown as CudaBackend;
}

test('training on varied texts is compared, and how many steps were made again is told', async () => {
  expect(await checkRepeatedTraining(() => cardOf(2), 3)).toEqual([
    'a Qwen 3 on texts of varied lengths: 2 of 3 steps from 5 graphs, equal bits',
    'a Qwen 3.5 on texts of varied lengths: 2 of 3 steps from 5 graphs, equal bits',
  ]);
});

test('steps that are not made again are a fault', async () => {
  await expect(checkRepeatedTraining(() => cardOf(1), 3)).rejects.toThrow(
    'a Qwen 3: 1 of 3 steps came from graphs',
  );
});
