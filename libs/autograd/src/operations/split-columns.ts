import type { BlockCopy, Tensor } from '@emloc/device';

import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

/**
 * Column ranges of a fused linear's output: the ranges lie one after another, or, with several
 * groups, each group of columns has its part of every range.
 */
export function splitColumns(
  block: ProgramBuilder,
  x: Value,
  { widths, groups = 1 }: { readonly widths: readonly number[]; readonly groups?: number },
): readonly Value[] {
  const total = widths.reduce((sum, width) => sum + width, 0);
  if (total !== x.width || widths.some((width) => width % groups !== 0))
    throw new Error(`program: ${widths.join(' + ')} columns in ${groups} groups of ${x.width}`);
  const outputs = widths.map((width) => block.value(width, x.rows));
  const starts = widths.map((_, index) =>
    widths.slice(0, index).reduce((sum, width) => sum + width / groups, 0),
  );
  const grouped = (tensor: Tensor, width: number): Tensor =>
    tensor.reshape([(tensor.size / width) * groups, width / groups]);
  block.add({
    name: 'splitColumns',
    inputs: [x],
    outputs,
    isCheap: false,
    saves: () => [],

    forward(context) {
      const input = grouped(context.get(x), x.width);
      const copies = outputs.map((output, index): BlockCopy => ({
        x: input,
        xColumn: starts[index],
        columns: output.width / groups,
        out: grouped(context.create(output), output.width),
      }));
      context.bindings.device.kernels.copyBlocks({ copies });
    },

    backward(context) {
      if (!context.needsGradient(x)) return;
      const { kernels } = context.bindings.device;
      for (const dX of context.own([x])) {
        const copies = outputs.flatMap((output, index): BlockCopy[] => {
          const gradient = context.gradientOf(output);
          if (!gradient) return [];
          return [
            {
              x: grouped(gradient, output.width),
              columns: output.width / groups,
              out: grouped(dX, x.width),
              outColumn: starts[index],
            },
          ];
        });
        if (copies.length < outputs.length) kernels.fill({ out: dX, value: 0 });
        kernels.copyBlocks({ copies });
      }
    },
  });
  return outputs;
}
