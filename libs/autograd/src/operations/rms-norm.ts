import type { OperationRule, RmsNormOperation } from './operation.js';

export const rmsNorm: OperationRule<RmsNormOperation> = {
  inputs: ({ x }) => [x],
  saves: ({ x }) => [x],
  isCheap: true,

  forward(context, { x, out, weight, epsilon }) {
    const { device } = context.bindings;
    const inverseRms = context.aux([context.rows], 'float32', 'rmsNorm.inverseRms');
    device.kernels.rmsNorm({
      x: context.get(x),
      weight: context.bindings.parameter(weight),
      epsilon,
      out: context.create(out),
      inverseRms,
    });
  },

  backward(context, { x, weight, out }) {
    const [inverseRms] = context.aux;
    if (!inverseRms || !context.needsGradient(x)) return;
    const { device } = context.bindings;
    context.contribute(x, (dX, accumulate) =>
      device.kernels.rmsNormBackward({
        dOut: context.dOut,
        x: context.get(x),
        weight: context.bindings.parameter(weight),
        inverseRms,
        dX,
        accumulate,
        out: context.restore(out),
      }),
    );
  },
};
