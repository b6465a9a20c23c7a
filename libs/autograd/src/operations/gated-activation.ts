import { at } from '@emloc/checked';
import type { GatedActivationOptions } from '@emloc/device';

import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

export interface GatedActivationShape extends Pick<GatedActivationOptions, 'kind' | 'limit'> {
  readonly gate: Value;
  readonly up: Value;
}

/** act(gate) · up, elementwise (GLU variants, arXiv 2002.05202). */
export function gatedActivation(block: ProgramBuilder, shape: GatedActivationShape): Value {
  const { gate, up, kind, limit } = shape;
  const out = block.value(gate.width, gate.rows);
  block.add({
    name: 'gatedActivation',
    inputs: [gate, up],
    outputs: [out],
    isCheap: true,
    saves: () => [gate, up],

    forward(context) {
      context.bindings.device.kernels.gatedActivation({
        gate: context.get(gate),
        up: context.get(up),
        out: context.create(out),
        kind,
        limit,
      });
    },

    backward(context) {
      if (!context.needsGradient(gate) && !context.needsGradient(up)) return;
      const gradients = context.own([gate, up]);
      context.bindings.device.kernels.gatedActivationBackward({
        dOut: context.dOut,
        gate: context.get(gate),
        up: context.get(up),
        dGate: at(gradients, 0),
        dUp: at(gradients, 1),
        out: context.restore(out, { overGradient: true }),
        kind,
        limit,
      });
    },
  });
  return out;
}
