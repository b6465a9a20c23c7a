import { at } from '@emloc/checked';

import {
  bfloat16Limits,
  deviation,
  gradientDeviations,
  relative,
  summed,
  type Comparison,
  type Deviation,
  type Limits,
} from './compare.js';
import { pixelsOf, type DiffusionGolden } from './diffusion-golden.js';
import type { GoldenTensor } from './golden-tensors.js';
import type { MeasuredDiffusion } from './measure-diffusion.js';

/**
 * `bfloat16Limits` for models that make images. Their loss with the golden's LoRA is the square of
 * a prediction far from its target, and what rounds in the one conditioning vector of a sample
 * shifts all of its rows alike: errors of rows do not average out. PyTorch in bfloat16 is 5.1e-3
 * off in the two fixtures' losses, and over 80 other noises, noise levels and pooled prompts of
 * each 5.3e-3 on average (root mean square) and 2.4e-2 at most; here the loss of one is 2e-2 off.
 */
export const bfloat16DiffusionLimits: Limits = { ...bfloat16Limits, losses: 4e-2 };

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
