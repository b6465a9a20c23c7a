import { bfloat16DiffusionLimits, compareDiffusion } from './compare-diffusion.js';
import type { DiffusionGolden } from './diffusion-golden.js';

const golden: DiffusionGolden = {
  clipIds: [1],
  t5Ids: [1],
  train: { noiseLevel: 0.5, guidance: 1, lora: { loss: 50, gradients: new Map() } },
  sample: { steps: 1, guidance: 1, height: 8, width: 8, noiseLevels: [1, 0] },
  tensors: new Map(),
};

function lossesOver(loss: number): readonly string[] {
  const measured = {
    outputs: new Map(),
    noiseLevels: [1, 0],
    lora: { loss, gradients: new Map() },
  };
  return compareDiffusion(golden, measured, bfloat16DiffusionLimits).wrong.map(({ what }) => what);
}

it('allows the loss of a bfloat16 device what roundings of the conditioning make of it', () => {
  expect(lossesOver(51.2)).toEqual([]);
  expect(lossesOver(52.5)).toEqual(['loss with LoRA']);
});
