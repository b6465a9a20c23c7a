import { at } from '@emloc/checked';
import type { EncodedRow } from '@emloc/dataset';
import type { GenerationGroup, GenerationSource } from '@emloc/finetune';
import type { RowSource } from '@emloc/models';
import { Prompts, type TextRows } from '@emloc/tasks';

/** Prompts to answer. */
export interface AnswerTask {
  readonly rows: TextRows;
  readonly source: GenerationSource;
  /** Tokens of each prompt. */
  readonly promptTokens: readonly number[];
  /** Most tokens of each answer; 0: it is not answered. */
  readonly maxTokens: readonly number[];
  /** Prompts of a batch of the first pass. */
  readonly batch: number;
}

/** Prompts, each answered by as many tokens as it may have and the model has positions. */
export function answerTask(
  rows: TextRows,
  limits: { readonly maxNewTokens: number; readonly maxPositions: number; readonly batch: number },
): AnswerTask {
  const { maxNewTokens, maxPositions, batch } = limits;
  const promptTokens = Array.from({ length: rows.count }, (_, row) => rows.shape([row]).items);
  return {
    rows,
    source: new Prompts(rows),
    promptTokens,
    maxTokens: promptTokens.map((length) =>
      Math.max(0, Math.min(maxNewTokens, maxPositions - length)),
    ),
    batch,
  };
}

/** The task with prompts whose images bring this. */
export function answersBringing(task: AnswerTask, tiles: RowSource): AnswerTask {
  const rows = task.rows.bringing(tiles);
  return { ...task, rows, source: new Prompts(rows) };
}

/** A row that is a prompt alone. */
export function promptRow({ ids, images }: Pick<EncodedRow, 'ids' | 'images'>): EncodedRow {
  return { ids, trained: new Uint8Array(ids.length), line: 0, ...(images && { images }) };
}

/** Tokens of the longest prompt with its answer; rotary tables may depend on it. */
export function longestAnswered({ promptTokens, maxTokens }: AnswerTask): number {
  return promptTokens.reduce((most, length, row) => Math.max(most, length + at(maxTokens, row)), 0);
}

/** Consecutive prompts that are answered, so many to a group. */
export function groupsOf(task: AnswerTask, groupRows: number): GenerationGroup[] {
  const rows = [...task.maxTokens.keys()].filter((row) => at(task.maxTokens, row) > 0);
  return chunked(rows, groupRows).map((group) => ({
    batches: chunked(group, task.batch),
    maxTokens: (row) => at(task.maxTokens, row),
  }));
}

function chunked(rows: readonly number[], size: number): (readonly number[])[] {
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, index) =>
    rows.slice(index * size, (index + 1) * size),
  );
}
