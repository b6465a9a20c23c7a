import { at } from '@emloc/checked';
import type { GenerationGroup, GenerationSource } from '@emloc/finetune';
import { TextPrompts } from '@emloc/tasks';

/** Prompts to answer, whatever they are made of. */
export interface AnswerTask {
  readonly source: GenerationSource;
  /** Tokens of each prompt. */
  readonly promptTokens: readonly number[];
  /** Most tokens of each answer; 0: it is not answered. */
  readonly maxTokens: readonly number[];
  /** Prompts of a batch of the first pass. */
  readonly batch: number;
}

/** Prompts of text, each answered by as many tokens as it may have and the model has positions. */
export function textTask(
  prompts: readonly Int32Array[],
  limits: { readonly maxNewTokens: number; readonly maxPositions: number; readonly batch: number },
): AnswerTask {
  const { maxNewTokens, maxPositions, batch } = limits;
  const promptTokens = prompts.map(({ length }) => length);
  return {
    source: new TextPrompts(prompts),
    promptTokens,
    maxTokens: promptTokens.map((length) =>
      Math.max(0, Math.min(maxNewTokens, maxPositions - length)),
    ),
    batch,
  };
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
