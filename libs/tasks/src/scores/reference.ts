import { ScoreError } from './errors.js';
import { letterOf } from './option-labels.js';

/** What an answer is scored against. */
export interface Reference {
  /** At least one right answer. */
  readonly golds: readonly string[];
  /** What is chosen from, in order. */
  readonly options?: readonly string[] | undefined;
  readonly group?: Group | undefined;
}

/** What scores are averaged within before they are averaged over all. */
export interface Group {
  readonly split?: string | undefined;
  readonly questionType?: string | undefined;
  readonly language?: string | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** Columns that name a row's group, the first that is there. */
const groupColumns = {
  split: ['split', 'type'],
  questionType: ['question_type', 'prompt_type'],
  language: ['language', 'lang'],
} as const;

/**
 * What a row's answer is scored against: its column `answers`, else `answer`, else what the
 * assistant says last; its `options` or `choices`; its group. Null is absence.
 * @throws ScoreError SCORE_NO_GOLD, and SCORE_INVALID_REFERENCE naming the column
 */
export function referenceOf(fields: Fields, lastAssistantText: string | undefined): Reference {
  const columns = ['answers', 'answer'].map((column) => answersIn(fields[column], column));
  const golds = columns.find((answers) => answers.length > 0) ?? [lastAssistantText];
  const known = golds.filter((gold) => gold !== undefined);
  if (known.length === 0)
    throw new ScoreError(
      'SCORE_NO_GOLD',
      'no right answer: neither `answers` nor `answer`, and no turn of the assistant at the end',
    );
  return { golds: known, options: optionsIn(fields), group: groupIn(fields) };
}

/**
 * Texts of `["x"]`, `"x"`, `[{"answer": "x"}]` (VQA) or `{"text": ["x"]}` (SQuAD); numbers as
 * written.
 */
function answersIn(value: unknown, column: string): string[] {
  if (isAbsent(value)) return [];
  if (Array.isArray(value)) return value.map((item: unknown) => answerIn(item, column));
  if (isFields(value) && Array.isArray(value['text'])) return answersIn(value['text'], column);
  return [answerIn(value, column)];
}

function answerIn(value: unknown, column: string): string {
  const inner = isFields(value) ? (value['answer'] ?? value['text']) : value;
  return textOf(inner) ?? refuse(column, 'a text, a number or a list of them');
}

/** A list, or an object with the letters A, B, ... as keys. */
function optionsIn(fields: Fields): string[] | undefined {
  const column = ['options', 'choices'].find((name) => !isAbsent(fields[name]));
  if (column === undefined) return undefined;
  const value = fields[column];
  const items: unknown = isFields(value) ? letteredItems(value) : value;
  if (!Array.isArray(items)) return refuse(column, 'a list of texts, or texts by letters from A');
  const options = items.map((item: unknown) => textOf(item) ?? refuse(column, 'a list of texts'));
  return options.length > 0 ? options : undefined;
}

/** The texts in the order of the letters, null where a key is no letter or one is left out. */
function letteredItems(value: Fields): unknown[] | null {
  const letters = Object.keys(value).map((_, index) => letterOf(index));
  return letters.every((letter) => Object.hasOwn(value, letter))
    ? letters.map((letter) => value[letter])
    : null;
}

function groupIn(fields: Fields): Group | undefined {
  const group: Group = {
    split: firstText(fields, groupColumns.split),
    questionType: firstText(fields, groupColumns.questionType),
    language: firstText(fields, groupColumns.language),
  };
  return Object.values(group).some((name) => name !== undefined) ? group : undefined;
}

/** Columns of these names that hold something else are of another kind, and left alone. */
function firstText(fields: Fields, columns: readonly string[]): string | undefined {
  return columns.map((column) => textOf(fields[column])).find((text) => text !== undefined);
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : undefined;
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refuse(column: string, expected: string): never {
  throw new ScoreError('SCORE_INVALID_REFERENCE', `${column} must be ${expected}`);
}
