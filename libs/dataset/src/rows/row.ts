import { at, last } from '@emloc/checked';

import { RowError } from '../errors.js';
import { JsonSyntaxError, parseJson, PyDict, PyFloat, type PyValue } from '../jinja/index.js';
import { reservedTemplateNames } from '../reserved-names.js';
import { messagesOfConversations } from './conversations.js';
import { kindOf } from './kind-of.js';
import { assertWellFormed } from './well-formed.js';

const roles = ['system', 'developer', 'user', 'assistant', 'tool', 'function'];

/** Columns that mean something; what else a row has is left alone. */
const knownColumns = new Set([
  'messages',
  'conversations',
  'prompt',
  'completion',
  'tools',
  'documents',
  'chat_template_kwargs',
]);

/** A conversation, exactly as it stands in the file. */
export interface Conversation {
  readonly messages: readonly PyDict[];
  /** As long as `messages`: whether the model learns this turn. */
  readonly isTrained: readonly boolean[];
  /** Field of the file that a message stands in. */
  readonly fieldOf: (message: number) => string;
}

/** A row as it is written in the file. */
export interface DatasetRow {
  readonly content:
    | ({ readonly kind: 'conversation' } & Conversation)
    | { readonly kind: 'completion'; readonly prompt: string; readonly completion: string };
  /** Null where the row has none. */
  readonly tools: PyValue[] | null;
  readonly documents: PyValue[] | null;
  /** `chat_template_kwargs`. */
  readonly templateArguments: PyDict | null;
  /** Columns that nothing here reads. */
  readonly unusedColumns: readonly string[];
}

/**
 * Reads one row: an object with `messages`, else with `prompt` and `completion` (both texts, or
 * both lists of messages), else with `conversations`. Null is absence.
 * @throws RowError
 */
export function parseRow(text: string): DatasetRow {
  const row = parseObject(text);
  assertWellFormed(row, text);
  assertNoImages(row);
  const format = formatOf(row);
  return {
    content: contentOf(format, row),
    tools: listColumn(row, 'tools'),
    documents: listColumn(row, 'documents'),
    templateArguments: templateArguments(column(row, 'chat_template_kwargs')),
    unusedColumns: unusedColumns(row, format),
  };
}

type Format = 'messages' | 'conversations' | 'completion';

function formatOf(row: PyDict): Format {
  const has = (name: string): boolean => column(row, name) !== null;
  if (has('messages')) return 'messages';
  if (has('conversations') && !(has('prompt') && has('completion'))) return 'conversations';
  if (has('prompt') || has('completion')) return 'completion';
  throw new RowError(null, 'has neither messages nor conversations nor prompt and completion');
}

function contentOf(format: Format, row: PyDict): DatasetRow['content'] {
  if (format === 'completion')
    return completionOf(column(row, 'prompt'), column(row, 'completion'));
  const listed = messageList(format, column(row, format));
  const messages = format === 'messages' ? listed : messagesOfConversations(listed);
  return conversationOf([{ field: format, messages }]);
}

const imageColumns = ['image', 'images', 'video', 'videos'];

/** A row is not trained on without what it speaks of. */
function assertNoImages(row: PyDict): void {
  for (const name of imageColumns) {
    const value = column(row, name);
    if (value !== null && value !== '' && !(Array.isArray(value) && value.length === 0))
      throw new RowError(name, 'cannot be used: this model takes text alone');
  }
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

function unusedColumns(row: PyDict, format: Format): string[] {
  const read = format === 'completion' ? ['prompt', 'completion'] : [format];
  const isUnread = (name: string): boolean =>
    ['prompt', 'completion', 'conversations'].includes(name) && !read.includes(name);
  return [...row.keys()]
    .map(String)
    .filter((name) => !knownColumns.has(name) || (isUnread(name) && column(row, name) !== null));
}

function completionOf(prompt: PyValue, completion: PyValue): DatasetRow['content'] {
  if (prompt === null) throw new RowError('prompt', 'is missing');
  if (completion === null) throw new RowError('completion', 'is missing');
  if (typeof prompt === 'string' && typeof completion === 'string')
    return { kind: 'completion', prompt, completion };
  if (!Array.isArray(prompt) && typeof prompt !== 'string')
    throw new RowError('prompt', `must be text or a list of messages, is ${kindOf(prompt)}`);
  if (Array.isArray(prompt) !== Array.isArray(completion))
    throw new RowError(
      'completion',
      `must be ${Array.isArray(prompt) ? 'a list of messages' : 'text'} as prompt is, is ${kindOf(completion)}`,
    );
  return conversationOf([
    { field: 'prompt', messages: messageList('prompt', prompt), isGiven: true },
    { field: 'completion', messages: messageList('completion', completion) },
  ]);
}

interface MessagePart {
  readonly field: string;
  readonly messages: readonly PyValue[];
  /** Whether it is only what is answered to. */
  readonly isGiven?: boolean;
}

function conversationOf(parts: readonly MessagePart[]): DatasetRow['content'] {
  const all = parts.flatMap(({ field, messages, isGiven = false }) =>
    messages.map((message, index) => ({ field: `${field}[${index}]`, message, isGiven })),
  );
  const turns = all.map(({ field, message, isGiven }) => ({
    field,
    isGiven,
    message: messageOf(message, field),
  }));
  if (!turns.some(({ message, isGiven }) => isAssistant(message) && !isGiven))
    throw new RowError(last(parts).field, 'has no assistant turn, so nothing to learn');
  return {
    kind: 'conversation',
    messages: turns.map(({ message }) => message),
    isTrained: turns.map(({ field, message, isGiven }) => isLearned(message, field) && !isGiven),
    fieldOf: (index) => at(turns, index).field,
  };
}

function messageList(field: string, value: PyValue): readonly PyValue[] {
  if (!Array.isArray(value)) throw new RowError(field, `must be a list, is ${kindOf(value)}`);
  if (value.length === 0) throw new RowError(field, 'is empty');
  return value;
}

function messageOf(message: PyValue, field: string): PyDict {
  if (!(message instanceof PyDict))
    throw new RowError(field, `must be an object, is ${kindOf(message)}`);
  const role = message.get('role');
  if (role === undefined) throw new RowError(`${field}.role`, 'is missing');
  if (typeof role !== 'string' || !roles.includes(role))
    throw new RowError(`${field}.role`, `must be one of ${roles.join(', ')}`);
  assertContent(message, `${field}.content`);
  return message;
}

/** Text, null or text parts; what the template makes of them counts. */
function assertContent(message: PyDict, field: string): void {
  const content = message.get('content');
  if (content === undefined) {
    if (isAssistant(message) && callsTools(message)) return;
    throw new RowError(field, 'is missing');
  }
  if (content === null || typeof content === 'string') return;
  if (!Array.isArray(content))
    throw new RowError(field, `must be text, null or a list of text parts, is ${kindOf(content)}`);
  content.forEach((part, index) => assertTextPart(part, `${field}[${index}]`));
}

function assertTextPart(part: PyValue, field: string): void {
  if (!(part instanceof PyDict)) throw new RowError(field, `must be an object, is ${kindOf(part)}`);
  if (part.get('type') !== 'text')
    throw new RowError(`${field}.type`, 'must be "text": this model takes no other parts');
  if (typeof part.get('text') !== 'string')
    throw new RowError(`${field}.text`, `must be text, is ${kindOf(part.get('text') ?? null)}`);
}

function callsTools(message: PyDict): boolean {
  const calls = message.get('tool_calls');
  return (
    (Array.isArray(calls) && calls.length > 0) || message.get('function_call') instanceof PyDict
  );
}

export function isAssistant(message: PyDict): boolean {
  return message.get('role') === 'assistant';
}

/** Whether an assistant's turn is learned: none of its marks takes it out. */
function isLearned(message: PyDict, field: string): boolean {
  const weight = weightOf(message.get('weight') ?? null, `${field}.weight`);
  const flags = ['train', 'training', 'loss'].map((name) =>
    flagOf(message.get(name) ?? null, `${field}.${name}`),
  );
  return isAssistant(message) && weight && flags.every(Boolean);
}

function weightOf(value: PyValue, field: string): boolean {
  const number = value instanceof PyFloat ? value.value : value;
  if (number === null || number === 1) return true;
  if (number === 0) return false;
  throw new RowError(field, 'must be 0 or 1');
}

function flagOf(value: PyValue, field: string): boolean {
  if (value === null || typeof value === 'boolean') return value ?? true;
  throw new RowError(field, `must be true or false, is ${kindOf(value)}`);
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
