import { at } from '@emloc/checked';

import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

export interface RowSelection {
  /** Stream of integers, one a row of the output: the row of x, each at most once. */
  readonly indices: string;
  /** Row layout of the output. */
  readonly rows: string;
}

/** Some rows of x, in another order: x[indices]. */
export function gatherRows(block: ProgramBuilder, x: Value, selection: RowSelection): Value {
  const out = block.value(x.width, selection.rows);
  block.add({
    name: 'gatherRows',
    inputs: [x],
    outputs: [out],
    isCheap: false,
    saves: () => [],

    forward(context) {
      const { bindings } = context;
      bindings.device.kernels.gatherRows({
        table: context.get(x),
        rows: bindings.integers(selection.indices),
        out: context.create(out),
      });
    },

    backward(context) {
      if (!context.needsGradient(x)) return;
      const { bindings, dOut } = context;
      const { kernels } = bindings.device;
      using spread = context.scratch(x, x.width, 'gatherRows.dX');
      kernels.fill({ out: spread, value: 0 });
      kernels.scatterRows({
        x: dOut,
        rows: bindings.integers(selection.indices),
        out: spread,
      });
      context.passThrough(x, spread);
    },
  });
  return out;
}

/** A part of joined rows: its rows go where the stream of integers says. */
export interface JoinedPart {
  readonly value: Value;
  /** Stream of integers, one a row of the part: the row of the output. */
  readonly indices: string;
}

/**
 * The rows of several values in one: every row of the output is one row of one part, or of a later
 * part where several name it.
 */
export function joinRows(block: ProgramBuilder, parts: readonly JoinedPart[], rows: string): Value {
  const values = parts.map(({ value }) => value);
  const out = block.value(at(values, 0).width, rows);
  block.add({
    name: 'joinRows',
    inputs: values,
    outputs: [out],
    isCheap: false,
    saves: () => [],

    forward(context) {
      const { bindings } = context;
      const output = context.create(out);
      for (const { value, indices } of parts.filter((part) => context.rows(part.value) > 0))
        bindings.device.kernels.scatterRows({
          x: context.get(value),
          rows: bindings.integers(indices),
          out: output,
        });
    },

    backward(context) {
      const { bindings, dOut } = context;
      const { kernels } = bindings.device;
      for (const { value, indices } of parts) {
        if (!context.needsGradient(value) || context.rows(value) === 0) continue;
        using part = context.scratch(value, value.width, 'joinRows.gradient');
        kernels.gatherRows({ table: dOut, rows: bindings.integers(indices), out: part });
        context.passThrough(value, part);
      }
    },
  });
  return out;
}
