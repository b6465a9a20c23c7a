import { at, get } from '@emloc/checked';
import {
  answerEndIds,
  loadTokenizer,
  type ChatTokenizer,
  type EncodedRow,
  type TextSource,
} from '@emloc/dataset';
import type { DeviceAdapter, PagedModel, Sampling } from '@emloc/finetune';
import { textLimits, type Model } from '@emloc/models';
import { createMetric, TextTables, type MetricName, type Reference } from '@emloc/tasks';

import { rowsWith, type JobImages } from '../job/images.js';
import { batchOf } from '../options/modality.js';
import type { EvaluateOptions } from '../options/resolve.js';
import { answerRows, type AnswerOptions } from './answer-rows.js';
import { answerTask, longestAnswered, promptRow, type AnswerTask } from './answer-task.js';
import { referencesOf } from './references.js';

export const greedy: Sampling = Object.freeze({ temperature: 0, topP: 1, seed: 0 });

/** What a model says where a row has its last trained-on part. */
export interface AnsweredRow {
  /** Line in the data file. */
  readonly line: number;
  readonly expected: string;
  readonly answer: string;
}

/** What answers are worth by a metric. */
export type AnswerScore = ReturnType<ReturnType<typeof createMetric>['finish']> & {
  readonly name: MetricName;
};

/** Rows that are answered, up to their last trained-on part. */
export interface RowQuestions {
  readonly tokenizer: ChatTokenizer;
  readonly rows: readonly EncodedRow[];
  readonly task: AnswerTask;
  /** As planned; 1 before. */
  readonly groupRows: number;
  /** How many of the answers are shown. */
  readonly shown: number;
  readonly scoring: Scoring | null;
}

interface Scoring {
  readonly metric: MetricName;
  /** By line. */
  readonly references: ReadonlyMap<number, Reference>;
}

/**
 * What an evaluation asks: the first rows, or all where answers are scored; null: nothing.
 * @throws ScoreError; DatasetError
 */
export async function rowQuestions(
  { answers: shown, metric, batch: given, maxNewTokens, data: path, columns }: EvaluateOptions,
  rows: readonly EncodedRow[],
  {
    model,
    source,
    images,
    signal,
  }: { model: Model; source: TextSource; images: JobImages | null; signal?: AbortSignal },
): Promise<RowQuestions | null> {
  if (shown === 0 && metric === null) return null;
  const asked = metric === null ? rows.slice(0, shown) : rows;
  const lines = new Set(asked.map(({ line }) => line));
  const scoring = metric && {
    metric,
    references: await referencesOf(metric, { path, lines, columns, signal }),
  };
  const prompts = asked.map((row) =>
    promptRow({ ...row, ids: row.ids.slice(0, answerStart(row)) }),
  );
  const { maxPositions } = textLimits(model.layout);
  const tables = new TextTables(model.layout, model.tables);
  const batch = batchOf(given, model.layout);
  return {
    ...{ tokenizer: await loadTokenizer(source.folder, source), rows: asked, scoring },
    task: answerTask(rowsWith(images, tables)(prompts), { maxNewTokens, maxPositions, batch }),
    ...{ groupRows: 1, shown },
  };
}

type QuestionHost = Pick<AnswerOptions, 'signal' | 'onProgress'> & {
  readonly model: PagedModel;
  readonly adapter: DeviceAdapter | null;
};

/** Answers greedily, and scores the answers. */
export async function answerQuestions(
  { tokenizer, rows, task, groupRows, shown, scoring }: RowQuestions,
  { model, ...host }: QuestionHost,
): Promise<{ readonly answers: readonly AnsweredRow[]; readonly score: AnswerScore | null }> {
  const longestRow = Math.max(model.longestRow ?? 0, longestAnswered(task));
  const answers = await answerRows(task, {
    ...{ ...host, model: { ...model, longestRow }, groupRows, sampling: greedy },
    stopIds: answerEndIds(tokenizer),
  });
  const textOf = (ids: Int32Array) => tokenizer.decode(ids, { skipSpecialTokens: true }).trim();
  const answered = rows.map((row, index) => ({
    line: row.line,
    expected: textOf(row.ids.slice(answerStart(row))),
    answer: textOf(at(answers, index).ids),
  }));
  return { answers: answered.slice(0, shown), score: scoring && scoreOf(answered, scoring) };
}

/** Of rows that became several, the last part has what the line is scored by. */
function scoreOf(rows: readonly AnsweredRow[], { metric, references }: Scoring): AnswerScore {
  const run = createMetric(metric);
  const lastParts = new Map(rows.map(({ line, answer }) => [line, answer]));
  for (const [line, answer] of lastParts) run.add(answer, get(references, line));
  return { name: metric, ...run.finish() };
}

/** Index of the first token of a row's last trained-on part. */
function answerStart({ ids, trained }: EncodedRow): number {
  let start = trained.lastIndexOf(1);
  while (start > 0 && trained[start - 1] === 1) start -= 1;
  return start < 0 ? ids.length : start;
}
