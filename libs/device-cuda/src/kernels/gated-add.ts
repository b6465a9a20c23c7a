import type { GatedAddBackwardOptions, GatedAddOptions } from '@emloc/device';

import type { CudaContext } from '../context.js';
import { inspectSequences, scaleSequences, sumSequences } from '../launch-sequences.js';

export function gatedAdd(context: CudaContext, { x, gate, sequences, out }: GatedAddOptions): void {
  const operands = { sequences, rows: [x, out], tables: [gate] } as const;
  const problem = inspectSequences('gatedAdd', operands);
  const offsets = sequences.deviceOffsets;
  const scaling = { x, table: gate, offsets, out, one: 0, accumulate: true };
  scaleSequences(context, 'gated-add', problem, scaling);
}

export function gatedAddBackward(context: CudaContext, options: GatedAddBackwardOptions): void {
  const { dOut, x, gate, sequences, dX, accumulate = false, dGate } = options;
  const tables = dGate ? [gate, dGate] : [gate];
  const operands = { sequences, rows: [dOut, x, dX], tables } as const;
  const problem = inspectSequences('gatedAddBackward', operands);
  const offsets = sequences.deviceOffsets;
  const scaling = { x: dOut, table: gate, offsets, out: dX, one: 0, accumulate };
  scaleSequences(context, 'gated-add', problem, scaling);
  if (dGate) sumSequences(context, 'gated-add', problem, { a: dOut, b: x, offsets, out: dGate });
}
