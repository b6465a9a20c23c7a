import type { AdamwOptions, Tensor } from '@emloc/device';

import { partnerOf } from '../checks.js';
import { ChunkBuffer, chunkRows, forRowChunks, rowScratchBytes } from '../chunk-buffer.js';
import type { CpuContext } from '../context.js';
import { gradientClip } from '../gradient-clip.js';
import { float32 } from '../memory.js';

/** Arithmetic in float64, moments and parameters rounded to float32. */
export function adamw({ scratch, wasm }: CpuContext, options: AdamwOptions): void {
  const { parameters, squaredGradientNorms, maxGradientNorm } = options;
  const { beta1, beta2, epsilon, learningRate, weightDecay, step } = options;
  const gradientScale = gradientClip(squaredGradientNorms, maxGradientNorm);
  const stepSize = learningRate / (1 - beta1 ** step);
  const secondCorrection = 1 / (1 - beta2 ** step);
  const decay = 1 - learningRate * weightDecay;
  const count = chunkRows(largestSize(options), 1);
  const [values, gradients, first, second] = [
    new ChunkBuffer(scratch, count),
    new ChunkBuffer(scratch, count),
    new ChunkBuffer(scratch, count),
    new ChunkBuffer(scratch, count),
  ];
  parameters.forEach((parameter, i) => {
    const arrayOf = (list: readonly Tensor[]) => float32(partnerOf('adamw', list, i, parameter));
    const [value, gradient] = [float32(parameter), arrayOf(options.gradients)];
    const [moment, squares] = [arrayOf(options.firstMoments), arrayOf(options.secondMoments)];
    forRowChunks(parameter.size, 1, (start, end) => {
      values.load(value, start, end);
      gradients.load(gradient, start, end);
      first.load(moment, start, end);
      second.load(squares, start, end);
      wasm.adamwRow(
        values.address,
        gradients.address,
        first.address,
        second.address,
        end - start,
        gradientScale,
        beta1,
        beta2,
        stepSize,
        secondCorrection,
        epsilon,
        decay,
      );
      values.store(value, start, end);
      first.store(moment, start, end);
      second.store(squares, start, end);
    });
  });
}

/** Scratch bytes: chunks of the largest parameter's values, gradients and moments. */
export function adamwScratchBytes(options: AdamwOptions): number {
  return rowScratchBytes(largestSize(options), 1, 4);
}

function largestSize({ parameters }: AdamwOptions): number {
  return parameters.reduce((most, { size }) => Math.max(most, size), 0);
}
