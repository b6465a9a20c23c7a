import type { SequenceLayout, Tensor } from '@emloc/device';

import { blockFor } from './block-for.js';
import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from './context.js';
import { isWide, wideCount } from './wide.js';

/** SUM_COLUMNS and SUM_LANES of sequences.cuh. */
const sumColumns = 32;
const sumLanes = 16;

/** Kernel files that include sequences.cuh. */
type Unit = 'modulate' | 'gated-add';

/** What belongs together: rows, and tables with a row for each sequence. */
export interface SequenceOperands {
  readonly sequences: SequenceLayout;
  readonly rows: readonly [Tensor, ...Tensor[]];
  readonly tables: readonly Tensor[];
}

export interface SequenceProblem {
  readonly rows: number;
  readonly columns: number;
  readonly sequences: number;
  readonly dtype: 'float32' | 'bfloat16';
}

/** @throws DeviceError for shapes or dtypes that do not belong together */
export function inspectSequences(
  operation: string,
  { sequences, rows: [first, ...others], tables }: SequenceOperands,
): SequenceProblem {
  const [rows, columns] = rowsAndColumns(operation, first);
  const count = sequences.offsets.length - 1;
  for (const tensor of others) expectShape(operation, tensor, first.shape);
  for (const table of tables) expectShape(operation, table, [count, columns]);
  expectShape(operation, sequences.deviceOffsets, [count + 1]);
  expectDType(operation, ['int32'], sequences.deviceOffsets);
  const dtypes = ['float32', 'bfloat16'] as const;
  const dtype = expectDType(operation, dtypes, first, ...others, ...tables);
  return { rows, columns, sequences: count, dtype };
}

export interface SequenceScaling {
  readonly x: Tensor;
  readonly table: Tensor;
  readonly offsets: Tensor;
  readonly out: Tensor;
  /** Added to the table: 0 or 1. */
  readonly one: number;
  readonly accumulate: boolean;
}

/** out = (one + table[s]) · x for the rows of each sequence s, or out += …. */
export function scaleSequences(
  context: CudaContext,
  unit: Unit,
  { rows, columns, sequences, dtype }: SequenceProblem,
  { x, table, offsets, out, one, accumulate }: SequenceScaling,
): void {
  const [source, factors, target] = [x, table, out].map((tensor) => addressOf(context, tensor)) as [
    number,
    number,
    number,
  ];
  const isWideHere = isWide(columns, wideCount(dtype), source, factors, target);
  context.launcher
    .begin()
    .pointer(source)
    .pointer(factors)
    .pointer(addressOf(context, offsets))
    .pointer(target)
    .int32(sequences)
    .int32(columns)
    .float32(one)
    .int32(accumulate ? 1 : 0)
    .launch(unit, `scale_sequences_${dtype}${isWideHere ? '_wide' : ''}`, {
      grid: [rows],
      block: blockFor(columns, isWideHere ? wideCount(dtype) : 1),
    });
}

/** out[s] = Σ a · b over the rows of sequence s, Σ a for b null. */
export function sumSequences(
  context: CudaContext,
  unit: Unit,
  { columns, sequences, dtype }: SequenceProblem,
  { a, b, offsets, out }: { a: Tensor; b: Tensor | null; offsets: Tensor; out: Tensor },
): void {
  context.launcher
    .begin()
    .pointer(addressOf(context, a))
    .pointer(b ? addressOf(context, b) : 0)
    .pointer(addressOf(context, offsets))
    .pointer(addressOf(context, out))
    .int32(columns)
    .launch(unit, `sum_sequences_${dtype}`, {
      grid: [Math.ceil(columns / sumColumns), sequences],
      block: sumColumns * sumLanes,
    });
}
