import type { Tensor } from '@emloc/device';

import type { BlockBindings } from '../bindings.js';
import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

/** x times a frozen parameter (1); in x's memory where nobody else needs x. */
export function scaleByParameter(block: ProgramBuilder, x: Value, name: string): Value {
  const factor = block.parameter(name, [1]);
  const out = block.value(x.width, x.rows);
  block.add({
    name: 'scaleByParameter',
    inputs: [x],
    outputs: [out],
    isCheap: false,
    saves: () => [],

    forward(context) {
      const input = context.get(x);
      const output = context.reuse(x, out) ? input : context.create(out);
      multiply(context.bindings, input, output);
    },

    backward(context) {
      if (!context.needsGradient(x)) return;
      const { bindings, dOut } = context;
      context.contribute(x, (dX, accumulate) => {
        if (!accumulate) return multiply(bindings, dOut, dX);
        using share = context.scratch(x, x.width, 'scaleByParameter.dX');
        multiply(bindings, dOut, share);
        bindings.device.kernels.add({ x: share, out: dX });
      });
    },
  });
  return out;

  /** All elements are one row with one factor. */
  function multiply({ device, parameter }: BlockBindings, from: Tensor, to: Tensor): void {
    const row = [1, from.size];
    const scale = parameter(factor);
    device.kernels.scale({ x: from.reshape(row), scale, along: 'rows', out: to.reshape(row) });
  }
}
