import type { ProdigyUpdateOptions, Tensor } from '@emloc/device';
import { partnerOf } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

/** In float32. */
export function prodigyUpdate(
  { tf, memory }: TfjsContext,
  { parameters, firstMoments, secondMoments, stepSize, epsilon, weightDecay }: ProdigyUpdateOptions,
): void {
  parameters.forEach((parameter, index) => {
    const [first, second] = [firstMoments, secondMoments].map((list) =>
      partnerOf('prodigyUpdate', list, index, parameter).reshape([parameter.size]),
    ) as [Tensor, Tensor];
    tf.tidy(() => {
      const divisor = tf.add(tf.sqrt(memory.float32(second)), epsilon);
      const change = tf.div(tf.mul(memory.float32(first), stepSize), divisor);
      const values = memory.float32(parameter.reshape([parameter.size]));
      memory.write(parameter, tf.sub(tf.mul(values, 1 - stepSize * weightDecay), change));
    });
  });
}
