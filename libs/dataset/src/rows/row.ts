import { at, last } from '@emloc/checked';

import { RowError } from '../errors.js';
import { JsonSyntaxError, parseJson, PyDict, type PyValue } from '../jinja/index.js';
import { reservedTemplateNames } from '../reserved-names.js';
import { messagesOfConversations } from './conversations.js';
import type { DatasetRow, RowContent } from './dataset-row.js';
import { allFormColumns, commonColumns, formColumns, type RowForm } from './form-columns.js';
import { assertNoVideo, hasImages, imageColumns } from './images/image-columns.js';
import { placeImages } from './images/place-images.js';
import { kindOf } from './kind-of.js';
import { isAssistant, isLearned, messageOf, type ContentRules } from './messages.js';
import { renameColumns, type RenamedColumns } from './renamed-columns.js';
import { instructionOf, plainTextRow } from './text-forms.js';
import { assertWellFormed } from './well-formed.js';

/** How a row is read. */
export interface RowRules extends ContentRules {
  /** Null or absent: columns have the names that they are read by. */
  readonly columns?: RenamedColumns | null;
}

/** Sizes of images, which their files tell. */
const sizeColumns = ['width', 'height'];

/**
 * Reads one row: an object with `messages`, else with `prompt` and `completion` (both texts, or
 * both lists of messages), else with `conversations`, else with `instruction` and `output`, else
 * with `text`. Null is absence.
 * @throws RowError
 */
export function parseRow(text: string, rules: RowRules): DatasetRow {
  const written = parseObject(text);
  assertWellFormed(written, text);
  const { row, hidden } = asRead(written, rules.columns ?? null);
  assertNoVideo(row);
  if (!rules.takesImages) assertNoImages(row);
  const format = formatOf(row);
  const { content, images } = rules.takesImages
    ? placeImages(row, contentOf(format, row, rules))
    : { content: contentOf(format, row, rules), images: [] };
  return {
    content,
    images,
    tools: toolsOf(row),
    documents: listColumn(row, 'documents'),
    templateArguments: templateArguments(column(row, 'chat_template_kwargs')),
    unusedColumns: [...unusedColumns(row, format, images.length > 0), ...hidden],
  };
}

/** @throws RowError */
function asRead(
  row: PyDict,
  columns: RenamedColumns | null,
): { readonly row: PyDict; readonly hidden: readonly string[] } {
  if (!columns) return { row, hidden: [] };
  const named = new Map([...row.entries()].map(([name, value]) => [String(name), value]));
  const { entries, hidden } = renameColumns(named, columns);
  return { row: PyDict.fromEntries(entries), hidden };
}

/** A form of which only a part is there is taken, and refused then, before a text alone is. */
function formatOf(row: PyDict): RowForm {
  const has = (name: string): boolean => column(row, name) !== null;
  if (has('messages')) return 'messages';
  if (has('conversations') && !(has('prompt') && has('completion'))) return 'conversations';
  if (has('prompt') && has('completion')) return 'completion';
  if (has('instruction') && has('output')) return 'instruction';
  if (has('prompt') || has('completion')) return 'completion';
  if (has('instruction') || has('output')) return 'instruction';
  if (has('text')) return 'text';
  throw new RowError(
    null,
    'has neither messages nor conversations nor prompt and completion nor instruction and output nor text',
  );
}

function contentOf(format: RowForm, row: PyDict, rules: ContentRules): RowContent {
  if (format === 'completion')
    return completionOf(column(row, 'prompt'), column(row, 'completion'), rules);
  if (format === 'instruction') return instructionOf(row);
  if (format === 'text') return plainTextRow(row);
  const listed = messageList(format, column(row, format));
  const messages = format === 'messages' ? listed : messagesOfConversations(listed);
  return conversationOf([{ field: format, messages }], rules);
}

/** A row is not trained on without what it speaks of. */
function assertNoImages(row: PyDict): void {
  for (const name of imageColumns)
    if (hasImages(row, name))
      throw new RowError(name, 'cannot be used: this model takes text alone');
}

/** The message quotes no text of the row. */
function parseObject(text: string): PyDict {
  let value: PyValue;
  try {
    value = parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw new RowError(null, `is not valid JSON (column ${error.position + 1}: ${error.reason})`);
  }
  if (!(value instanceof PyDict))
    throw new RowError(null, `must be a JSON object, is ${kindOf(value)}`);
  return value;
}

function column(row: PyDict, name: string): PyValue {
  return row.get(name) ?? null;
}

function unusedColumns(row: PyDict, format: RowForm, showsImages: boolean): string[] {
  const read: readonly string[] = formColumns[format];
  const ofImages = showsImages ? [...imageColumns, ...sizeColumns] : [];
  return [...row.keys()]
    .map(String)
    .filter((name) => !ofImages.includes(name) && !read.includes(name) && !commonColumns.has(name))
    .filter((name) => !allFormColumns.has(name) || column(row, name) !== null);
}

function completionOf(prompt: PyValue, completion: PyValue, rules: ContentRules): RowContent {
  if (prompt === null) throw new RowError('prompt', 'is missing');
  if (completion === null) throw new RowError('completion', 'is missing');
  if (typeof prompt === 'string' && typeof completion === 'string')
    return { kind: 'completion', prompt, completion };
  if (!Array.isArray(prompt) && typeof prompt !== 'string')
    throw new RowError('prompt', `must be text or a list of messages, is ${kindOf(prompt)}`);
  if (Array.isArray(prompt) ? !Array.isArray(completion) : typeof completion !== 'string')
    throw new RowError(
      'completion',
      `must be ${Array.isArray(prompt) ? 'a list of messages' : 'text'} as prompt is, is ${kindOf(completion)}`,
    );
  return conversationOf(
    [
      { field: 'prompt', messages: messageList('prompt', prompt), isGiven: true },
      { field: 'completion', messages: messageList('completion', completion) },
    ],
    rules,
  );
}

interface MessagePart {
  readonly field: string;
  readonly messages: readonly PyValue[];
  /** Whether it is only what is answered to. */
  readonly isGiven?: boolean;
}

function conversationOf(parts: readonly MessagePart[], rules: ContentRules): RowContent {
  const all = parts.flatMap(({ field, messages, isGiven = false }) =>
    messages.map((message, index) => ({ field: `${field}[${index}]`, message, isGiven })),
  );
  const turns = all.map(({ field, message, isGiven }) => ({
    field,
    isGiven,
    message: messageOf(message, field, rules),
  }));
  if (!turns.some(({ message, isGiven }) => isAssistant(message) && !isGiven))
    throw new RowError(last(parts).field, 'has no assistant turn, so nothing to learn');
  return {
    kind: 'conversation',
    messages: turns.map(({ message }) => message),
    isTrained: turns.map(({ field, message, isGiven }) => isLearned(message, field) && !isGiven),
    fieldOf: (index) => at(turns, index).field,
    imageTurns: new Map(),
  };
}

function messageList(field: string, value: PyValue): readonly PyValue[] {
  if (!Array.isArray(value)) throw new RowError(field, `must be a list, is ${kindOf(value)}`);
  if (value.length === 0) throw new RowError(field, 'is empty');
  return value;
}

/** Each in OpenAI's form, or in another that the template knows. */
function toolsOf(row: PyDict): PyValue[] | null {
  const tools = listColumn(row, 'tools');
  for (const [index, tool] of (tools ?? []).entries()) {
    const field = `tools[${index}]`;
    if (!(tool instanceof PyDict))
      throw new RowError(field, `must be an object, is ${kindOf(tool)}`);
    if (tool.get('type') !== 'function') continue;
    const called = tool.get('function') ?? null;
    if (!(called instanceof PyDict))
      throw new RowError(`${field}.function`, `must be an object, is ${kindOf(called)}`);
    const name = called.get('name') ?? null;
    if (typeof name !== 'string' || name === '')
      throw new RowError(
        `${field}.function.name`,
        `must be text, is ${name === '' ? 'empty' : kindOf(name)}`,
      );
  }
  return tools;
}

function listColumn(row: PyDict, name: string): PyValue[] | null {
  const value = column(row, name);
  if (value === null || Array.isArray(value)) return value;
  throw new RowError(name, `must be a list, is ${kindOf(value)}`);
}

function templateArguments(value: PyValue): PyDict | null {
  if (value === null) return null;
  const field = 'chat_template_kwargs';
  if (!(value instanceof PyDict))
    throw new RowError(field, `must be an object, is ${kindOf(value)}`);
  const reserved = [...value.keys()].map(String).find((name) => reservedTemplateNames.has(name));
  if (reserved !== undefined)
    throw new RowError(
      `${field}.${reserved}`,
      'is set from the row itself, it cannot be given here',
    );
  return value;
}
