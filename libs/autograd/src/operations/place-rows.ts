import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

export interface PlacedRows {
  readonly value: Value;
  /** Stream of integers, one a row of the value: the row of the output. */
  readonly indices: string;
}

/** base with some rows replaced; in its memory where nobody else needs base. */
export function placeRows(block: ProgramBuilder, base: Value, placed: PlacedRows): Value {
  const { value, indices } = placed;
  const out = block.value(base.width, base.rows);
  block.add({
    name: 'placeRows',
    inputs: [base, value],
    outputs: [out],
    isCheap: false,
    saves: () => [],

    forward(context) {
      const { bindings } = context;
      const { kernels } = bindings.device;
      const input = context.get(base);
      const output = context.reuse(base, out) ? input : context.create(out);
      if (output !== input) kernels.cast({ x: input, out: output });
      if (context.rows(value) === 0) return;
      const rows = bindings.integers(indices);
      kernels.scatterRows({ x: context.get(value), rows, out: output });
    },

    backward(context) {
      const { bindings, dOut } = context;
      const { kernels } = bindings.device;
      const isEmpty = context.rows(value) === 0;
      if (context.needsGradient(base) && isEmpty) context.passThrough(base, dOut);
      if (isEmpty) return;
      using part = context.scratch(value, value.width, 'placeRows.gradient');
      const rows = bindings.integers(indices);
      if (context.needsGradient(base)) {
        using others = context.scratch(base, base.width, 'placeRows.others');
        kernels.cast({ x: dOut, out: others });
        kernels.fill({ out: part, value: 0 });
        kernels.scatterRows({ x: part, rows, out: others });
        context.passThrough(base, others);
      }
      if (!context.needsGradient(value)) return;
      kernels.gatherRows({ table: dOut, rows, out: part });
      context.passThrough(value, part);
    },
  });
  return out;
}
