import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

export interface EmbeddingShape {
  /** Name of the table, (entries, width). */
  readonly table: string;
  readonly entries: number;
  readonly width: number;
  /** Stream of integers, one a row: which entry it is. */
  readonly indices: string;
  readonly rows: string;
  /** Shape of the table in checkpoints, where it is not (entries, width). */
  readonly storedShape?: readonly number[];
}

/** Rows of a frozen table. */
export function embedding(block: ProgramBuilder, shape: EmbeddingShape): Value {
  const { entries, width, storedShape } = shape;
  const table = block.parameter(shape.table, [entries, width], storedShape);
  const out = block.value(shape.width, shape.rows);
  block.add({
    name: 'embedding',
    inputs: [],
    outputs: [out],
    isCheap: false,
    saves: () => [],
    forward(context) {
      context.bindings.device.kernels.gatherRows({
        table: context.bindings.parameter(table),
        rows: context.bindings.integers(shape.indices),
        out: context.create(out),
      });
    },
    backward() {},
  });
  return out;
}
