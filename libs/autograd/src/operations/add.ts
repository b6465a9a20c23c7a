import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

/** a + b. Written into b's memory where nobody else needs b. */
export function add(block: ProgramBuilder, a: Value, b: Value): Value {
  const out = block.value(a.width, a.rows);
  block.add({
    name: 'add',
    inputs: [a, b],
    outputs: [out],
    isCheap: false,
    saves: () => [],

    forward(context) {
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

    backward(context) {
      for (const value of [a, b])
        if (context.needsGradient(value)) context.passThrough(value, context.dOut);
    },
  });
  return out;
}
