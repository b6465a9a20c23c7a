import { fileURLToPath } from 'node:url';

import { RowError, RowImagesError } from '../../errors.js';
import { PyDict, type PyValue } from '../../jinja/index.js';
import { kindOf } from '../kind-of.js';

/** Where the bytes of an image are. */
export type ImageSource =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

/** An image that a row names. */
export interface ImageReference {
  readonly source: ImageSource;
  /** Field of the row that names it. */
  readonly field: string;
}

/** Fields of an object that may hold an image, the surest first. */
const sourceFields = ['bytes', 'base64', 'image', 'path', 'url', 'image_url'];

/**
 * An image as text (a path, a URL, a data URL) or as an object that has one of them.
 * @returns null where an object names none
 * @throws RowError
 */
export function imageReference(value: PyValue, field: string): ImageReference | null {
  if (typeof value === 'string') return { source: textSource(value, field), field };
  if (!(value instanceof PyDict))
    throw new RowError(field, `must be a path, a URL or an object, is ${kindOf(value)}`);
  const name = sourceFields.find((each) => (value.get(each) ?? null) !== null);
  if (name === undefined) return null;
  const [inner, innerField] = [value.get(name) ?? null, `${field}.${name}`];
  if (name !== 'bytes' && name !== 'base64') return imageReference(inner, innerField);
  if (typeof inner !== 'string')
    throw new RowError(innerField, `must be text in base64, is ${kindOf(inner)}`);
  const source = /^data:/i.test(inner)
    ? textSource(inner, innerField)
    : ({ kind: 'bytes', bytes: base64Bytes(inner, innerField) } as const);
  return { source, field: innerField };
}

function textSource(text: string, field: string): ImageSource {
  if (text === '') throw new RowError(field, 'is empty');
  if (/^https?:\/\//i.test(text)) return { kind: 'url', url: text };
  if (/^data:/i.test(text)) return { kind: 'bytes', bytes: dataUrlBytes(text, field) };
  if (!/^file:\/\//i.test(text)) return { kind: 'path', path: text };
  try {
    return { kind: 'path', path: fileURLToPath(text) };
  } catch {
    throw unusable(field, text, 'is no file URL of this machine');
  }
}

function dataUrlBytes(url: string, field: string): Uint8Array {
  const comma = url.indexOf(',');
  const head = url.slice(0, Math.max(0, comma));
  if (!/;base64$/i.test(head))
    throw unusable(field, 'a data URL', 'is not in base64: data:image/png;base64,... is needed');
  return base64Bytes(url.slice(comma + 1), field);
}

function base64Bytes(text: string, field: string): Uint8Array {
  if (!/^[A-Za-z0-9+/_\s-]+={0,2}\s*$/.test(text))
    throw unusable(field, `data of ${text.length} characters`, 'is not valid base64');
  // A copy: a small Buffer shares its memory with others.
  return Uint8Array.from(Buffer.from(text, 'base64'));
}

/** Told with all other images that cannot be used. */
function unusable(field: string, image: string, reason: string): RowImagesError {
  return new RowImagesError([{ field, image, reason }]);
}
