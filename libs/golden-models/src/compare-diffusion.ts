import { at } from '@emloc/checked';

import {
  deviation,
  gradientDeviations,
  relative,
  summed,
  type Comparison,
  type Deviation,
  type Limits,
} from './compare.js';
import { pixelsOf, type DiffusionGolden, type GoldenTensor } from './diffusion-golden.js';
import type { MeasuredDiffusion } from './measure-diffusion.js';

/** Compares every number that the golden knows. */
export function compareDiffusion(
  golden: DiffusionGolden,
  measured: MeasuredDiffusion,
  limits: Limits,
): Comparison {
  const { lora } = golden.train;
  const deviations: readonly Deviation[] = [
    ...[...measured.outputs].map(([name, values]) =>
      deviation('outputs', name, outputError(golden, name, values)),
    ),
    deviation('outputs', 'noise levels', relative(measured.noiseLevels, golden.sample.noiseLevels)),
    deviation('losses', 'loss with LoRA', relative([measured.lora.loss], [lora.loss])),
    ...gradientDeviations({ lora }, measured),
  ];
  return summed(deviations, limits);
}

/** Pictures are compared as rows of pixels, others as they are. */
function outputError(golden: DiffusionGolden, name: string, values: Float32Array): number {
  const expected = golden.tensors.get(name);
  if (!expected) return Number.POSITIVE_INFINITY;
  return relative(values, isPicture(expected) ? pixelsOf(expected).pixels : expected.values);
}

function isPicture({ shape }: GoldenTensor): boolean {
  return shape.length === 4 && at(shape, 0) === 1;
}
