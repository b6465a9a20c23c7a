import { at } from '@emloc/checked';
import type { BlockCopy } from '@emloc/device';

import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

/** Values of equal rows side by side. */
export function joinColumns(block: ProgramBuilder, parts: readonly Value[]): Value {
  const width = parts.reduce((sum, part) => sum + part.width, 0);
  const starts = parts.map((_, index) =>
    parts.slice(0, index).reduce((sum, part) => sum + part.width, 0),
  );
  const out = block.value(width, at(parts, 0).rows);
  block.add({
    name: 'joinColumns',
    inputs: parts,
    outputs: [out],
    isCheap: false,
    saves: () => [],

    forward(context) {
      const output = context.create(out);
      const copies = parts.map((part, index): BlockCopy => ({
        x: context.get(part),
        columns: part.width,
        out: output,
        outColumn: starts[index],
      }));
      context.bindings.device.kernels.copyBlocks({ copies });
    },

    backward(context) {
      const { kernels } = context.bindings.device;
      for (const [index, part] of parts.entries()) {
        if (!context.needsGradient(part)) continue;
        using gradient = context.scratch(part, part.width, 'joinColumns.gradient');
        const copy = { x: context.dOut, xColumn: starts[index], columns: part.width };
        kernels.copyBlocks({ copies: [{ ...copy, out: gradient }] });
        context.passThrough(part, gradient);
      }
    },
  });
  return out;
}
