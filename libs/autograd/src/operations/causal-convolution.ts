import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

export interface CausalConvolutionShape {
  /** Name of the weight: (width, taps), stored as (width, 1, taps). */
  readonly weight: string;
  readonly taps: number;
}

/** silu of a causal convolution of each channel, within each sequence. */
export function causalConvolution(
  block: ProgramBuilder,
  x: Value,
  { weight: name, taps }: CausalConvolutionShape,
): Value {
  const weight = block.parameter(name, [x.width, taps], [x.width, 1, taps]);
  const out = block.value(x.width, x.rows);
  block.add({
    name: 'causalConvolution',
    inputs: [x],
    outputs: [out],
    isCheap: true,
    saves: () => [x],

    forward(context) {
      const { bindings } = context;
      bindings.device.kernels.causalConvolution({
        x: context.get(x),
        weight: bindings.parameter(weight),
        sequences: bindings.layout(x.rows),
        out: context.create(out),
      });
    },

    backward(context) {
      const { bindings, dOut } = context;
      const { kernels } = bindings.device;
      const operands = {
        x: context.get(x),
        weight: bindings.parameter(weight),
        sequences: bindings.layout(x.rows),
      };
      const again = context.restore(out);
      if (again) kernels.causalConvolution({ ...operands, out: again });
      if (!context.needsGradient(x)) return;
      context.contribute(x, (dX, accumulate) =>
        kernels.causalConvolutionBackward({ ...operands, dOut, dX, accumulate }),
      );
    },
  });
  return out;
}
