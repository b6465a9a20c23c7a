import { JsonTextError, parseJsonText } from '@emloc/untrusted';

import { DatasetError } from '../errors.js';
import { PyDict } from '../jinja/index.js';
import type { DatasetRow } from './dataset-row.js';
import { textOfRow } from './decode-row.js';
import { isAssistant } from './messages.js';
import { readRows } from './read-rows.js';
import { parseRenamedColumns, renameColumns, type RenamedColumns } from './renamed-columns.js';
import { parseRow } from './row.js';

/** What a row of a file holds beside what the model sees of it. */
export interface RowColumns {
  /** 1-based line of the file, or element of its JSON array. */
  readonly line: number;
  /** All columns, as JSON has them, under the names that they are read by. */
  readonly fields: Readonly<Record<string, unknown>>;
  /**
   * What the assistant says in the end; undefined where someone else has
   * the last word, and where nobody speaks. */
  readonly lastAnswer: string | undefined;
}

export interface ReadColumnsOptions {
  /** As of `loadDataset`. */
  readonly columns?: string | null;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The columns of some rows of a file whose form was checked, in its order.
 * @param lines numbers of those rows
 * @throws DatasetError DATASET_UNREADABLE; the signal's reason when aborted
 */
export async function* readColumns(
  path: string,
  lines: ReadonlySet<number>,
  { columns = null, signal }: ReadColumnsOptions = {},
): AsyncGenerator<RowColumns> {
  const renamed = columns === null ? null : parseRenamedColumns(columns);
  let left = lines.size;
  for await (const row of readRows(path, { signal })) {
    const line = row.number;
    if (!lines.has(line)) continue;
    const text = textOfRow(row);
    yield {
      line,
      fields: fieldsOf(text, `${path}:${line}`, renamed),
      lastAnswer: lastAnswerOf(parseRow(text, { takesImages: true, columns: renamed })),
    };
    left -= 1;
    if (left === 0) return;
  }
}

/** Rows may have numbers of Python's that JSON has not. @throws DatasetError DATASET_UNREADABLE */
function fieldsOf(
  text: string,
  place: string,
  renamed: RenamedColumns | null,
): Record<string, unknown> {
  try {
    const fields = parseJsonText(text, { maxDepth: 1000 }) as Record<string, unknown>;
    if (!renamed) return fields;
    return Object.fromEntries(renameColumns(new Map(Object.entries(fields)), renamed).entries);
  } catch (cause) {
    if (!(cause instanceof JsonTextError)) throw cause;
    const reason = `its columns are no JSON: ${cause.reason}`;
    throw new DatasetError('DATASET_UNREADABLE', `${place}: ${reason}`, { cause });
  }
}

function lastAnswerOf({ content }: DatasetRow): string | undefined {
  if (content.kind === 'completion') return content.completion;
  if (content.kind === 'instruction') return content.output;
  if (content.kind === 'text') return undefined;
  const last = content.messages.at(-1);
  if (!last || !isAssistant(last)) return undefined;
  const said = last.get('content');
  if (typeof said === 'string') return said;
  if (!Array.isArray(said)) return undefined;
  return said.map((part) => textOf(part)).join('');
}

function textOf(part: unknown): string {
  const text = part instanceof PyDict ? part.get('text') : '';
  return typeof text === 'string' ? text : '';
}
