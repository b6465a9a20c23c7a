import {
  generate,
  type DeviceAdapter,
  type GeneratedAnswer,
  type PagedModel,
  type Sampling,
} from '@emloc/finetune';

import { groupsOf, type AnswerTask } from './answer-task.js';

export interface AnswerOptions {
  readonly model: PagedModel;
  /** Null: none. */
  readonly adapter: DeviceAdapter | null;
  readonly sampling: Sampling;
  /** Token ids that end an answer. */
  readonly stopIds: ReadonlySet<number>;
  /** As planned. */
  readonly groupRows: number;
  /** True ends the answer with this token. */
  readonly onToken?: (row: number, id: number) => boolean | void;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

const notAnswered: GeneratedAnswer = Object.freeze({ ids: new Int32Array(), finish: 'length' });

/** Answers all prompts of a task, group by group; in the order of the prompts. */
export async function answerRows(
  task: AnswerTask,
  { groupRows, onProgress, ...options }: AnswerOptions,
): Promise<readonly GeneratedAnswer[]> {
  const answers = task.promptTokens.map(() => notAnswered);
  const groups = groupsOf(task, groupRows);
  for (const [index, group] of groups.entries()) {
    const answered = await generate({ ...options, source: task.source, group });
    for (const [row, answer] of answered) answers[row] = answer;
    onProgress?.(index + 1, groups.length);
  }
  return answers;
}
