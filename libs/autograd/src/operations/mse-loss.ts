import { required } from '@emloc/checked';

import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

/**
 * Mean over the columns of (prediction − target)². Its result is `losses`, float32 (rows); its
 * gradient is that of gradientScale · Σ losses with respect to the prediction.
 */
export function mseLoss(
  block: ProgramBuilder,
  { prediction, target }: { readonly prediction: Value; readonly target: Value },
): void {
  block.add({
    name: 'mseLoss',
    inputs: [prediction, target],
    outputs: [],
    isLoss: true,
    isCheap: false,
    saves: () => [],

    forward(context) {
      const { device, gradientScale } = context.bindings;
      const { kernels } = device;
      const predicted = context.get(prediction);
      const targets = context.get(target);
      const loss = context.result('losses', [context.rows(prediction)], 'float32');
      if (!context.keepsAux) {
        kernels.mseLoss({ prediction: predicted, target: targets, loss });
        return;
      }
      const gradient = context.aux(predicted.shape, 'compute', 'mseLoss.gradient');
      kernels.cast({ x: predicted, out: gradient });
      kernels.mseLoss({
        prediction: gradient,
        target: targets,
        loss,
        gradientScale: required(gradientScale ?? undefined, 'gradient scale'),
      });
    },

    backward(context) {
      const [gradient] = context.aux;
      if (context.needsGradient(prediction))
        context.passThrough(
          prediction,
          required(gradient, 'gradient that the forward of mseLoss leaves'),
        );
    },
  });
}
