import type { ProdigyUpdateOptions } from '@emloc/device';

import { partnerOf } from '../checks.js';
import { float32 } from '../memory.js';

/** Arithmetic in float64, parameters rounded to float32. */
export function prodigyUpdate(options: ProdigyUpdateOptions): void {
  const { parameters, stepSize, epsilon, weightDecay } = options;
  const decay = 1 - stepSize * weightDecay;
  parameters.forEach((parameter, index) => {
    const [first, second] = [options.firstMoments, options.secondMoments].map((list) =>
      float32(partnerOf('prodigyUpdate', list, index, parameter)),
    ) as [Float32Array, Float32Array];
    const values = float32(parameter);
    for (let i = 0; i < values.length; i += 1) {
      const direction = (first[i] as number) / (Math.sqrt(second[i] as number) + epsilon);
      values[i] = (values[i] as number) * decay - stepSize * direction;
    }
  });
}
