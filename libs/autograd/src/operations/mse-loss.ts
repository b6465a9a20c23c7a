import { required } from '@emloc/checked';

import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

/**
 * Mean over the columns of (prediction − target)², times a weight a row. Its result is `losses`,
 * float32 (rows); its gradient is that of gradientScale · Σ losses with respect to the prediction.
 */
export function mseLoss(
  block: ProgramBuilder,
  {
    prediction,
    target,
    weight = null,
  }: {
    readonly prediction: Value;
    readonly target: Value;
    /** (rows, 1), float32 whatever the device computes in; null: 1 each. */
    readonly weight?: Value | null;
  },
): void {
  block.add({
    name: 'mseLoss',
    inputs: [prediction, target, ...(weight ? [weight] : [])],
    outputs: [],
    isLoss: true,
    isCheap: false,
    saves: () => [],
    leavesAux: () => true,

    forward(context) {
      const { device, gradientScale } = context.bindings;
      const { kernels } = device;
      const predicted = context.get(prediction);
      const targets = context.get(target);
      const weights = weight ? context.get(weight).reshape([context.rows(weight)]) : undefined;
      const loss = context.result('losses', [context.rows(prediction)], 'float32');
      if (!context.keepsAux) {
        kernels.mseLoss({ prediction: predicted, target: targets, weights, loss });
        return;
      }
      const gradient = context.aux(predicted.shape, 'compute', 'mseLoss.gradient');
      kernels.cast({ x: predicted, out: gradient });
      kernels.mseLoss({
        prediction: gradient,
        target: targets,
        weights,
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
