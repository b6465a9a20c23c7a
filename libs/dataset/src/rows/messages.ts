import { RowError } from '../errors.js';
import { PyDict, PyFloat, type PyValue } from '../jinja/index.js';
import { kindOf } from './kind-of.js';

const roles = ['system', 'developer', 'user', 'assistant', 'tool', 'function'];

/** Types of parts that are images. */
const imageTypes = ['image', 'image_url'];

/** What the content of messages may have. */
export interface ContentRules {
  readonly takesImages: boolean;
}

/** @throws RowError */
export function messageOf(message: PyValue, field: string, rules: ContentRules): PyDict {
  if (!(message instanceof PyDict))
    throw new RowError(field, `must be an object, is ${kindOf(message)}`);
  const role = message.get('role');
  if (role === undefined) throw new RowError(`${field}.role`, 'is missing');
  if (typeof role !== 'string' || !roles.includes(role))
    throw new RowError(`${field}.role`, `must be one of ${roles.join(', ')}`);
  assertContent(message, `${field}.content`, rules);
  return message;
}

/** Text, null or parts; what the template makes of them counts. */
function assertContent(message: PyDict, field: string, rules: ContentRules): void {
  const content = message.get('content');
  if (content === undefined) {
    if (isAssistant(message) && callsTools(message)) return;
    throw new RowError(field, 'is missing');
  }
  if (content === null || typeof content === 'string') return;
  if (!Array.isArray(content))
    throw new RowError(field, `must be text, null or a list of text parts, is ${kindOf(content)}`);
  content.forEach((part, index) => assertPart(part, `${field}[${index}]`, message, rules));
}

function assertPart(
  part: PyValue,
  field: string,
  message: PyDict,
  { takesImages }: ContentRules,
): void {
  if (!(part instanceof PyDict)) throw new RowError(field, `must be an object, is ${kindOf(part)}`);
  if (takesImages && isImagePart(part)) {
    if (isAssistant(message))
      throw new RowError(`${field}.type`, 'must be "text": the assistant shows no images');
    return;
  }
  if (part.get('type') !== 'text')
    throw new RowError(
      `${field}.type`,
      takesImages
        ? `must be "text" or one of ${imageTypes.map((type) => `"${type}"`).join(', ')}`
        : 'must be "text": this model takes no other parts',
    );
  if (typeof part.get('text') !== 'string')
    throw new RowError(`${field}.text`, `must be text, is ${kindOf(part.get('text') ?? null)}`);
}

export function isImagePart(part: PyDict): boolean {
  const type = part.get('type');
  return typeof type === 'string' && imageTypes.includes(type);
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

/**
 * Whether an assistant's turn is learned: none of its marks takes it out.
 * @throws RowError
 */
export function isLearned(message: PyDict, field: string): boolean {
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
