/** Rows of each optimizer step as micro-batches, made when they are asked for. A list is one. */
export interface StepBatches {
  /** Optimizer steps. */
  readonly length: number;
  /** Numbers of the rows of each micro-batch. @param step 0 for the first */
  at(step: number): readonly (readonly number[])[] | undefined;
  /** The first so many steps have rows of every size that any has; absent: all of them have. */
  readonly covering?: number;
  /** Whether each batch has rows of the sizes of one of the covering ones. Absent: not all have. */
  readonly repeatsShapes?: boolean;
  /** Where these are the steps of several runs one after another: those. */
  readonly parts?: readonly StepBatches[];
  /** Micro-batches of the steps before this one; absent: they are counted. */
  microBatchesBefore?(step: number): number;
}

/** @throws RangeError for a step that is none of them */
export function batchesOf(batches: StepBatches, step: number): readonly (readonly number[])[] {
  const found = batches.at(step);
  if (found && step >= 0) return found;
  throw new RangeError(`step ${step} of ${batches.length}`);
}

/** The micro-batches of some steps, one after another. */
export function* microBatches(
  batches: StepBatches,
  from = 0,
  to = batches.length,
): Generator<readonly number[]> {
  for (let step = from; step < to; step += 1) yield* batchesOf(batches, step);
}

/**
 * Micro-batches among which every size of a row is that any step has; lists of their own, so that
 * nothing is kept of them.
 */
export function* coveringBatches(batches: StepBatches): Generator<readonly number[]> {
  if (batches.parts) {
    for (const part of batches.parts) yield* coveringBatches(part);
    return;
  }
  for (const rows of microBatches(batches, 0, batches.covering)) yield [...rows];
}

/** How many micro-batches the steps from this one on have. */
export function countMicroBatches(batches: StepBatches, from: number): number {
  const before = (step: number): number =>
    batches.microBatchesBefore?.(step) ?? countOf(microBatches(batches, 0, step));
  return before(batches.length) - before(from);
}

function countOf(items: Iterable<unknown>): number {
  let count = 0;
  for (const _ of items) count += 1;
  return count;
}
