import type { ChatMessage } from './chat-template.js';
import { RowError } from './errors.js';
import { isJsonObject, type JsonObject } from './model-files.js';

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function'];

/** A row as it is written in the file. */
export type DatasetRow =
  | {
      readonly kind: 'messages';
      readonly messages: readonly ChatMessage[];
      readonly tools?: readonly unknown[];
    }
  | { readonly kind: 'completion'; readonly prompt: string; readonly completion: string };

/**
 * Reads one line: an object with `messages`, or with `prompt` and `completion`. Other fields are
 * ignored.
 * @throws RowError
 */
export function parseRow(line: string): DatasetRow {
  const row = parseJson(line);
  if (!isJsonObject(row)) throw new RowError(null, `must be a JSON object, is ${kindOf(row)}`);
  const isChat = row.messages !== undefined;
  const isCompletion = row.prompt !== undefined || row.completion !== undefined;
  if (isChat && isCompletion)
    throw new RowError(
      null,
      'has both messages and prompt or completion; one of the two is needed',
    );
  if (!isChat && !isCompletion)
    throw new RowError(null, 'has neither messages nor prompt and completion');
  if (!isChat)
    return {
      kind: 'completion',
      prompt: textField(row, 'prompt'),
      completion: textField(row, 'completion'),
    };
  return { kind: 'messages', messages: messagesOf(row.messages), tools: toolsOf(row.tools) };
}

/** V8's message quotes the text, so only the position is taken from it, and no cause is kept. */
function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    const position = /at position (\d+)/.exec(String(error))?.[1];
    throw new RowError(
      null,
      position === undefined
        ? 'is not valid JSON'
        : `is not valid JSON (column ${Number(position) + 1})`,
    );
  }
}

function textField(row: JsonObject, name: string): string {
  const value = row[name];
  if (value === undefined) throw new RowError(name, 'is missing');
  if (typeof value !== 'string') throw new RowError(name, `must be text, is ${kindOf(value)}`);
  return value;
}

function messagesOf(value: unknown): ChatMessage[] {
  if (!Array.isArray(value)) throw new RowError('messages', `must be a list, is ${kindOf(value)}`);
  if (value.length === 0) throw new RowError('messages', 'is empty');
  const messages = value.map((message: unknown, index) => messageOf(message, `messages[${index}]`));
  if (!messages.some(({ role }) => role === 'assistant'))
    throw new RowError('messages', 'has no assistant turn, so nothing to learn');
  return messages;
}

function messageOf(message: unknown, field: string): ChatMessage {
  if (!isJsonObject(message)) throw new RowError(field, `must be an object, is ${kindOf(message)}`);
  const { role, content } = message;
  if (role === undefined) throw new RowError(`${field}.role`, 'is missing');
  if (typeof role !== 'string' || !ROLES.includes(role))
    throw new RowError(`${field}.role`, `must be one of ${ROLES.join(', ')}`);
  const callsTools =
    role === 'assistant' && Array.isArray(message.tool_calls) && message.tool_calls.length > 0;
  if (callsTools && (content === undefined || content === null))
    return { ...message, role, content: null };
  if (content === undefined) throw new RowError(`${field}.content`, 'is missing');
  if (typeof content !== 'string')
    throw new RowError(`${field}.content`, `must be text, is ${kindOf(content)}`);
  return { ...message, role, content };
}

function toolsOf(value: unknown): readonly unknown[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw new RowError('tools', `must be a list, is ${kindOf(value)}`);
  return value;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return (
    { string: 'text', number: 'a number', boolean: 'true or false', object: 'an object' }[
      typeof value as string
    ] ?? typeof value
  );
}
