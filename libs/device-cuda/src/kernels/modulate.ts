import type { ModulateBackwardOptions, ModulateOptions } from '@emloc/device';

import { blockFor } from '../block-for.js';
import { addressOf, type CudaContext } from '../context.js';
import { inspectSequences, scaleSequences, sumSequences } from '../launch-sequences.js';
import { isWide, wideCount } from '../wide.js';

export function modulate(context: CudaContext, options: ModulateOptions): void {
  const { x, scale, shift, sequences, out } = options;
  const operands = { sequences, rows: [x, out], tables: [scale, shift] } as const;
  const problem = inspectSequences('modulate', operands);
  const { rows, columns, dtype } = problem;
  const [source, factors, terms, target] = [x, scale, shift, out].map((tensor) =>
    addressOf(context, tensor),
  ) as [number, number, number, number];
  const canBeWide = isWide(columns, wideCount(dtype), source, factors, terms, target);
  context.launcher
    .begin()
    .pointer(source)
    .pointer(factors)
    .pointer(terms)
    .pointer(addressOf(context, sequences.deviceOffsets))
    .pointer(target)
    .int32(problem.sequences)
    .int32(columns)
    .launch('modulate', `modulate_${dtype}${canBeWide ? '_wide' : ''}`, {
      grid: [rows],
      block: blockFor(columns, canBeWide ? wideCount(dtype) : 1),
    });
}

export function modulateBackward(context: CudaContext, options: ModulateBackwardOptions): void {
  const { dOut, x, scale, sequences, dX, accumulate = false, dScale, dShift } = options;
  const tables = [scale, dScale, dShift].filter((tensor) => !!tensor);
  const operands = { sequences, rows: [dOut, x, dX], tables } as const;
  const problem = inspectSequences('modulateBackward', operands);
  const offsets = sequences.deviceOffsets;
  const scaling = { x: dOut, table: scale, offsets, out: dX, one: 1, accumulate };
  scaleSequences(context, 'modulate', problem, scaling);
  if (dScale) sumSequences(context, 'modulate', problem, { a: dOut, b: x, offsets, out: dScale });
  if (dShift)
    sumSequences(context, 'modulate', problem, { a: dOut, b: null, offsets, out: dShift });
}
