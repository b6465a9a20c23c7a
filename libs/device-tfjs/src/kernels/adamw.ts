import type { AdamwOptions, Tensor } from '@emloc/device';
import { partnerOf } from '@emloc/device-cpu';
import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';
import { gradientClip } from '../gradient-clip.js';

/** In float32; the bias corrections in float64 on the host. */
export function adamw(context: TfjsContext, options: AdamwOptions): void {
  const { tf } = context;
  const { parameters, squaredGradientNorms, maxGradientNorm } = options;
  const clip = gradientClip(context, squaredGradientNorms, maxGradientNorm);
  parameters.forEach((parameter, i) => {
    const [gradient, first, second] = [
      options.gradients,
      options.firstMoments,
      options.secondMoments,
    ].map((list) => partnerOf('adamw', list, i, parameter).reshape([parameter.size]));
    tf.tidy(() =>
      update(context, options, clip, { parameter, gradient, first, second } as ParameterState),
    );
  });
}

interface ParameterState {
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  readonly first: Tensor;
  readonly second: Tensor;
}

function update(
  { tf, memory }: TfjsContext,
  options: AdamwOptions,
  clip: TfTensor | null,
  { parameter, gradient, first, second }: ParameterState,
): void {
  const { beta1, beta2, epsilon, learningRate, weightDecay, step } = options;
  const raw = memory.float32(gradient);
  const g = clip ? tf.mul(raw, clip) : raw;
  const m = tf.add(tf.mul(memory.float32(first), beta1), tf.mul(g, 1 - beta1));
  const v = tf.add(tf.mul(memory.float32(second), beta2), tf.mul(tf.square(g), 1 - beta2));
  const divisor = tf.add(tf.sqrt(tf.mul(v, 1 / (1 - beta2 ** step))), epsilon);
  const change = tf.div(tf.mul(m, learningRate / (1 - beta1 ** step)), divisor);
  memory.write(first, m);
  memory.write(second, v);
  memory.write(
    parameter,
    tf.sub(
      tf.mul(memory.float32(parameter.reshape([parameter.size])), 1 - learningRate * weightDecay),
      change,
    ),
  );
}
