import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

export interface RowGroups {
  /** Rows that become one: x's rows are a multiple of it. */
  readonly count: number;
  /** Row layout of the output. */
  readonly rows: string;
}

/** Every `count` rows, one after another, as one row: (N, d) seen as (N / count, count · d). */
export function groupRows(block: ProgramBuilder, x: Value, { count, rows }: RowGroups): Value {
  const out = block.value(count * x.width, rows);
  block.add({
    name: 'groupRows',
    inputs: [x],
    outputs: [out],
    isCheap: true,
    saves: () => [x],

    forward(context) {
      context.view(x, out);
    },

    backward(context) {
      const again = context.restore(out);
      const { kernels } = context.bindings.device;
      if (again) kernels.cast({ x: context.get(x).reshape(again.shape), out: again });
      if (!context.needsGradient(x)) return;
      context.passThrough(x, context.dOut.reshape([context.rows(x), x.width]));
    },
  });
  return out;
}
