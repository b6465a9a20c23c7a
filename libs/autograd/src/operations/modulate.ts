import { TensorScope, type Tensor } from '@emloc/device';

import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';
import type { BackwardContext } from './operation.js';

export interface Modulation {
  /** One row for each sequence of x's rows. */
  readonly scale: Value;
  readonly shift: Value;
}

/** x · (1 + scale) + shift, with the scale and shift of the row's sequence (arXiv 2212.09748). */
export function modulate(block: ProgramBuilder, x: Value, { scale, shift }: Modulation): Value {
  const out = block.value(x.width, x.rows);
  block.add({
    name: 'modulate',
    inputs: [x, scale, shift],
    outputs: [out],
    isCheap: false,
    saves: (_isAdapted, needsGradient) => (needsGradient(scale) ? [x, scale] : [scale]),

    forward(context) {
      const { bindings } = context;
      bindings.device.kernels.modulate({
        x: context.get(x),
        scale: context.get(scale),
        shift: context.get(shift),
        sequences: bindings.layout(x.rows),
        out: context.create(out),
      });
    },

    backward(context) {
      const { bindings, dOut } = context;
      summed(context, [scale, shift], (dScale, dShift) =>
        context.contribute(x, (dX, accumulate) =>
          bindings.device.kernels.modulateBackward({
            dOut,
            x: readFor(context, scale, x),
            scale: context.get(scale),
            sequences: bindings.layout(x.rows),
            dX,
            accumulate,
            dScale,
            dShift,
          }),
        ),
      );
    },
  });
  return out;
}

/** base + gate · x, with the gate of the row's sequence. */
export function gatedAdd(
  block: ProgramBuilder,
  base: Value,
  { x, gate }: { readonly x: Value; readonly gate: Value },
): Value {
  const out = block.value(base.width, base.rows);
  block.add({
    name: 'gatedAdd',
    inputs: [base, x, gate],
    outputs: [out],
    isCheap: false,
    saves: (_isAdapted, needsGradient) => (needsGradient(gate) ? [x, gate] : [gate]),

    forward(context) {
      const { bindings } = context;
      const { kernels } = bindings.device;
      const input = context.get(base);
      const output = context.reuse(base, out) ? input : context.create(out);
      if (output !== input) kernels.cast({ x: input, out: output });
      kernels.gatedAdd({
        x: context.get(x),
        gate: context.get(gate),
        sequences: bindings.layout(x.rows),
        out: output,
      });
    },

    backward(context) {
      const { bindings, dOut } = context;
      if (context.needsGradient(base)) context.passThrough(base, dOut);
      summed(context, [gate], (dGate) =>
        context.contribute(x, (dX, accumulate) =>
          bindings.device.kernels.gatedAddBackward({
            dOut,
            x: readFor(context, gate, x),
            gate: context.get(gate),
            sequences: bindings.layout(x.rows),
            dX,
            accumulate,
            dGate,
          }),
        ),
      );
    },
  });
  return out;
}

/** x, which only the gradient of `vector` is made of: without one it is not kept, nor read. */
function readFor(context: BackwardContext, vector: Value, x: Value): Tensor {
  return context.needsGradient(vector) ? context.get(x) : context.dOut;
}

/**
 * Runs `run` with a tensor for the gradient of each value that needs one, null for the others, and
 * adds these to the values' gradients.
 */
function summed(
  context: BackwardContext,
  values: readonly Value[],
  run: (...gradients: (Tensor | null)[]) => void,
): void {
  using scope = new TensorScope(context.bindings.device, 'modulation');
  const gradients = values.map((value) =>
    context.needsGradient(value)
      ? scope.own(context.scratch(value, value.width, 'modulation'))
      : null,
  );
  run(...gradients);
  gradients.forEach((gradient, index) => {
    const value = values[index];
    if (gradient && value) context.passThrough(value, gradient);
  });
}
