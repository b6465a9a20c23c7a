import type { AddOperation, OperationRule } from './operation.js';

/** out = a + b. Written into b's memory where nobody else needs b. */
export const add: OperationRule<AddOperation> = {
  inputs: ({ a, b }) => [a, b],
  saves: () => [],
  isCheap: false,

  forward(context, { a, b, out }) {
    const { kernels } = context.bindings.device;
    const addend = context.get(b);
    if (context.reuse(b, out)) {
      kernels.add({ x: context.get(a), out: addend });
      return;
    }
    const output = context.create(out);
    kernels.cast({ x: addend, out: output });
    kernels.add({ x: context.get(a), out: output });
  },

  backward(context, { a, b }) {
    for (const value of [a, b]) if (context.needsGradient(value)) context.passThrough(value);
  },
};
