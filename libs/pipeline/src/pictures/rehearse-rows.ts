import { at } from '@emloc/checked';
import type { CountedRow } from '@emloc/finetune';
import type { RowSource } from '@emloc/models';

/** Rows that a model runs on, one at a time. */
export interface RehearsedRows {
  readonly source: RowSource;
  readonly rows: readonly number[];
  /** How many there are like these. Default: these. */
  readonly count?: number;
}

export interface RowsRehearsal {
  /** How often all weights are read for these. */
  passes(rows: readonly CountedRow[]): number;
  /** Runs the model on rows, in one pass over its weights. */
  run(rows: readonly number[]): Promise<void>;
  /** What was done since the call before counts so often. */
  onTimes(times: number): void;
}

/**
 * Runs a model on one row and on two of each size: what a pass and what a row takes follow from
 * these two, and what all rows take from that.
 */
export async function rehearseRows(
  { source, rows, count = rows.length }: RehearsedRows,
  { passes, run, onTimes }: RowsRehearsal,
): Promise<void> {
  const sizes = bySize(source, rows).map((alike) => ({
    row: at(alike, 0),
    count: (alike.length / rows.length) * count,
  }));
  // Weights are read once for rows of all sizes: they count with those of the first.
  let ofPasses = sizes.length === 0 ? 0 : passes(sizes);
  onTimes(1);
  for (const { row, count: all } of sizes) {
    await run([row]);
    onTimes(2 * ofPasses - all);
    if (all === ofPasses) continue;
    await run([row, row]);
    onTimes(all - ofPasses);
    ofPasses = 0;
  }
}

/** Rows of equal shapes together. */
function bySize(source: RowSource, rows: readonly number[]): readonly (readonly number[])[] {
  const sizes = new Map<string, number[]>();
  for (const row of rows) {
    const { layouts, grids, integers } = source.shape([row]);
    const size = JSON.stringify([[...layouts], [...(grids ?? [])], [...integers]]);
    const alike = sizes.get(size) ?? [];
    alike.push(row);
    sizes.set(size, alike);
  }
  return [...sizes.values()];
}
