import type { ChatModel } from '../model.js';
import { isObject, refusedParameter, type JsonObject } from './parameters.js';

type ImageRules = Pick<ChatModel, 'takesImages' | 'fetchesImages'>;

/**
 * Messages as the model takes them: texts in parts become one text where no image stands between
 * them. Roles are the template's business.
 * @throws RequestRefusal naming the message
 */
export function messagesOf(value: unknown, rules: ImageRules): readonly JsonObject[] {
  if (value === null) throw refusedParameter('messages', 'it is missing');
  if (!Array.isArray(value) || value.length === 0)
    throw refusedParameter('messages', 'a list of at least one message is expected');
  return value.map((message: unknown, index) => messageOf(message, `messages[${index}]`, rules));
}

function messageOf(message: unknown, param: string, rules: ImageRules): JsonObject {
  if (!isObject(message)) throw refusedParameter(param, 'an object is expected');
  if (typeof message['role'] !== 'string')
    throw refusedParameter(`${param}.role`, 'a text is expected');
  const content = message['content'] ?? null;
  if (content === null && message['role'] === 'assistant') return message;
  return { ...message, content: contentOf(content, `${param}.content`, rules) };
}

function contentOf(content: unknown, param: string, rules: ImageRules): unknown {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content) || content.length === 0)
    throw refusedParameter(param, 'a text or a list of parts is expected');
  const parts = content.map((part: unknown, index) => partOf(part, `${param}[${index}]`, rules));
  const texts = parts.filter(({ type }) => type === 'text');
  return texts.length === parts.length ? texts.map(({ text }) => text).join('\n') : parts;
}

/** A part with nothing in it but what is read of it: others may name files. */
function partOf(part: unknown, param: string, rules: ImageRules): JsonObject {
  if (!isObject(part)) throw refusedParameter(param, 'an object is expected');
  const { type } = part;
  if (type === 'text') {
    if (typeof part['text'] === 'string') return { type, text: part['text'] };
    throw refusedParameter(`${param}.text`, 'a text is expected');
  }
  if (type === 'image_url')
    return { type, image_url: { url: imageUrl(part['image_url'], `${param}.image_url`, rules) } };
  throw refusedParameter(`${param}.type`, '"text" or "image_url" is expected');
}

function imageUrl(value: unknown, param: string, rules: ImageRules): string {
  if (!rules.takesImages)
    throw refusedParameter(param, 'this model takes text alone', 'unsupported');
  const url: unknown = isObject(value) ? value['url'] : value;
  if (typeof url === 'string' && /^data:image\//i.test(url)) return url;
  if (typeof url === 'string' && rules.fetchesImages && /^https?:\/\//i.test(url)) return url;
  throw refusedParameter(
    param,
    rules.fetchesImages
      ? 'a data URL of an image (data:image/png;base64,...) or one of http or https is expected'
      : 'a data URL of an image (data:image/png;base64,...) is expected: nothing is fetched',
  );
}
