import type { ProdigyMomentsOptions, Tensor } from '@emloc/device';
import { assertShape, partnerOf } from '@emloc/device-cpu';
import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';
import { gradientClip } from '../gradient-clip.js';

/** In float32. */
export function prodigyMoments(context: TfjsContext, options: ProdigyMomentsOptions): void {
  const { tf, memory } = context;
  const { parameters, squaredGradientNorms, alignments, magnitudes } = options;
  for (const tensor of [squaredGradientNorms, alignments, magnitudes])
    assertShape('prodigyMoments', tensor, [parameters.length]);
  if (parameters.length === 0) return;
  const clip = gradientClip(context, squaredGradientNorms, options.maxGradientNorm);
  const sums = parameters.map((_, index) => advance(context, options, { clip, index }));
  memory.write(alignments, tf.stack(sums.map(({ alignment }) => alignment)));
  memory.write(magnitudes, tf.stack(sums.map(({ magnitude }) => magnitude)));
}

interface ParameterSums {
  readonly alignment: TfTensor;
  readonly magnitude: TfTensor;
}

function advance(
  { tf, memory }: TfjsContext,
  options: ProdigyMomentsOptions,
  { clip, index }: { readonly clip: TfTensor | null; readonly index: number },
): ParameterSums {
  const { beta1, beta2, distance, firstDistance } = options;
  const of = (list: readonly Tensor[]): Tensor => {
    const parameter = partnerOf('prodigyMoments', options.parameters, index);
    return partnerOf('prodigyMoments', list, index, parameter).reshape([parameter.size]);
  };
  const read = (list: readonly Tensor[]): TfTensor => memory.float32(of(list));
  const made = tf.tidy(() => {
    const raw = read(options.gradients);
    const g = clip ? tf.mul(raw, clip) : raw;
    const scaled = tf.mul(g, distance);
    const [first, second, sum] = [
      tf.add(tf.mul(read(options.firstMoments), beta1), tf.mul(scaled, 1 - beta1)),
      tf.add(tf.mul(read(options.secondMoments), beta2), tf.mul(tf.square(scaled), 1 - beta2)),
      tf.add(
        tf.mul(read(options.gradientSums), Math.sqrt(beta2)),
        tf.mul(g, (distance * distance) / firstDistance),
      ),
    ];
    memory.write(of(options.firstMoments), first);
    memory.write(of(options.secondMoments), second);
    memory.write(of(options.gradientSums), sum);
    const towardsStart = tf.sub(read(options.starts), read(options.parameters));
    return [tf.sum(tf.mul(g, towardsStart)), tf.sum(tf.abs(sum))];
  });
  const [alignment, magnitude] = made as [TfTensor, TfTensor];
  return { alignment, magnitude };
}
