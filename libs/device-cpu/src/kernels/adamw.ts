import type { AdamwOptions } from '@emloc/device';

import { partnerOf } from '../checks.js';
import { gradientClip } from '../gradient-clip.js';
import { float32 } from '../memory.js';

/** Arithmetic in float64, moments and parameters rounded to float32. */
export function adamw(options: AdamwOptions): void {
  const { parameters, squaredGradientNorms, maxGradientNorm } = options;
  const gradientScale = gradientClip(squaredGradientNorms, maxGradientNorm);
  parameters.forEach((parameter, i) => {
    const [gradient, first, second] = [
      options.gradients,
      options.firstMoments,
      options.secondMoments,
    ].map((list) => float32(partnerOf('adamw', list, i, parameter)));
    update(options, gradientScale, {
      values: float32(parameter),
      gradient,
      first,
      second,
    } as ParameterState);
  });
}

interface ParameterState {
  readonly values: Float32Array;
  readonly gradient: Float32Array;
  readonly first: Float32Array;
  readonly second: Float32Array;
}

function update(
  options: AdamwOptions,
  gradientScale: number,
  { values, gradient, first, second }: ParameterState,
): void {
  const { beta1, beta2, epsilon, learningRate, weightDecay, step } = options;
  const stepSize = learningRate / (1 - beta1 ** step);
  const secondCorrection = 1 / (1 - beta2 ** step);
  const decay = 1 - learningRate * weightDecay;
  for (let i = 0; i < values.length; i += 1) {
    const g = (gradient[i] as number) * gradientScale;
    const m = beta1 * (first[i] as number) + (1 - beta1) * g;
    const v = beta2 * (second[i] as number) + (1 - beta2) * g * g;
    first[i] = m;
    second[i] = v;
    values[i] =
      (values[i] as number) * decay - (stepSize * m) / (Math.sqrt(v * secondCorrection) + epsilon);
  }
}
