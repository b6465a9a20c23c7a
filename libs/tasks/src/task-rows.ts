import type { EvaluateOptions } from '@emloc/finetune';
import type { Batches, RowSource } from '@emloc/models';

/** What an evaluation of any task gives. */
export interface Score {
  /** Σ losses / Σ of their weights. */
  readonly loss: number;
}

/** Adapters (null: none) that are scored in one pass over a paged model. */
export interface Scoring extends Omit<EvaluateOptions<unknown>, 'batches' | 'scorer'> {
  /** A loss that is not finite: an error, or a score as others. Default: an error */
  readonly nonFinite?: 'throw' | 'tell';
}

/** Rows of a task, which know how a model is scored on them. */
export interface TaskRows extends RowSource {
  readonly count: number;
  /** Items of all rows: tokens of a text. */
  readonly items: number;
  /**
   * One score per variant.
   * @param batches numbers of the rows of each batch
   * @throws FinetuneError FINETUNE_NO_TARGETS, FINETUNE_NON_FINITE unless it is told
   */
  evaluate(batches: readonly (readonly number[])[], scoring: Scoring): Promise<readonly Score[]>;
}

/** Batches of such rows. */
export interface TaskBatches<R extends TaskRows = TaskRows> extends Batches {
  readonly source: R;
}
