import type { Tensor } from '@emloc/device';

import { measure, type Group } from './bench-lab.js';

export const benchOptimizer: Group = async (device, operands, report) => {
  const shapes = Array.from({ length: 28 }, () =>
    [3584, 512, 512, 3584, 18944, 18944, 3584].flatMap((width) => [
      [8, 3584],
      [width, 8],
    ]),
  ).flat();
  const lists = Array.from({ length: 4 }, () =>
    shapes.map((shape) => operands.random(shape, 'float32')),
  );
  const [parameters, gradients, firstMoments, secondMoments] = lists as [
    Tensor[],
    Tensor[],
    Tensor[],
    Tensor[],
  ];
  const count = parameters.reduce((sum, { size }) => sum + size, 0);
  const squaredGradientNorms = operands.empty([gradients.length], 'float32');
  report(
    await measure(device, `squaredNorms of ${shapes.length} tensors`, { bytes: 4 * count }, () =>
      device.kernels.squaredNorms({ tensors: gradients, out: squaredGradientNorms }),
    ),
  );
  report(
    await measure(device, `adamw of ${shapes.length} tensors`, { bytes: 28 * count }, () =>
      device.kernels.adamw({
        parameters,
        gradients,
        firstMoments,
        secondMoments,
        squaredGradientNorms,
        maxGradientNorm: 1,
        learningRate: 1e-4,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weightDecay: 0,
        step: 1,
      }),
    ),
  );
  const tiny = operands.random([8], 'float32');
  report(
    await measure(device, 'launch of a tiny kernel', {}, () =>
      device.kernels.fill({ out: tiny, value: 1 }),
    ),
  );
};
