import type { ProdigyMomentsOptions } from '@emloc/device';

import { assertShape, partnerOf } from '../checks.js';
import { gradientClip } from '../gradient-clip.js';
import { float32 } from '../memory.js';

/** Arithmetic and sums in float64, moments and sums rounded to float32. */
export function prodigyMoments(options: ProdigyMomentsOptions): void {
  const { parameters, squaredGradientNorms, maxGradientNorm, alignments, magnitudes } = options;
  for (const tensor of [squaredGradientNorms, alignments, magnitudes])
    assertShape('prodigyMoments', tensor, [parameters.length]);
  const clip = gradientClip(squaredGradientNorms, maxGradientNorm);
  const [aligned, magnitude] = [float32(alignments), float32(magnitudes)];
  parameters.forEach((parameter, index) => {
    const values = (list: readonly (typeof parameter)[]): Float32Array =>
      float32(partnerOf('prodigyMoments', list, index, parameter));
    const sums = advance(options, clip, {
      values: values(parameters),
      gradient: values(options.gradients),
      start: values(options.starts),
      first: values(options.firstMoments),
      second: values(options.secondMoments),
      sum: values(options.gradientSums),
    });
    aligned[index] = sums.alignment;
    magnitude[index] = sums.magnitude;
  });
}

interface ParameterState {
  readonly values: Float32Array;
  readonly gradient: Float32Array;
  readonly start: Float32Array;
  readonly first: Float32Array;
  readonly second: Float32Array;
  readonly sum: Float32Array;
}

function advance(
  { beta1, beta2, distance, firstDistance }: ProdigyMomentsOptions,
  clip: number,
  { values, gradient, start, first, second, sum }: ParameterState,
): { readonly alignment: number; readonly magnitude: number } {
  const beta3 = Math.sqrt(beta2);
  const sumScale = (distance * distance) / firstDistance;
  let [alignment, magnitude] = [0, 0];
  for (let i = 0; i < values.length; i += 1) {
    const g = (gradient[i] as number) * clip;
    const scaled = distance * g;
    alignment += g * ((start[i] as number) - (values[i] as number));
    first[i] = beta1 * (first[i] as number) + (1 - beta1) * scaled;
    second[i] = beta2 * (second[i] as number) + (1 - beta2) * scaled * scaled;
    sum[i] = beta3 * (sum[i] as number) + sumScale * g;
    magnitude += Math.abs(sum[i] as number);
  }
  return { alignment, magnitude };
}
