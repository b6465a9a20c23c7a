import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';
import { withState } from './carried-state.js';

export interface CausalConvolutionShape {
  /** Name of the weight: (width, taps), stored as (width, 1, taps). */
  readonly weight: string;
  readonly taps: number;
}

/**
 * silu of a causal convolution of each channel, within each sequence. What it carries along rows is
 * the last taps − 1 of them.
 */
export function causalConvolution(
  block: ProgramBuilder,
  x: Value,
  { weight: name, taps }: CausalConvolutionShape,
): Value {
  const weight = block.parameter(name, [x.width, taps], [x.width, 1, taps]);
  const out = block.value(x.width, x.rows);
  const border = [taps - 1, x.width];
  const stateIndex =
    taps === 1
      ? null
      : block.state({ width: (taps - 1) * x.width, dtype: 'compute', rows: x.rows });
  block.add({
    name: 'causalConvolution',
    inputs: [x],
    outputs: [out],
    isCheap: true,
    saves: () => [x],

    forward(context) {
      const { bindings } = context;
      const operands = {
        x: context.get(x),
        weight: bindings.parameter(weight),
        sequences: bindings.layout(x.rows),
        out: context.create(out),
      };
      withState(bindings, stateIndex, {
        shape: border,
        launch: ({ initial: initialRows, final: finalRows }) =>
          bindings.device.kernels.causalConvolution({ ...operands, initialRows, finalRows }),
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
