import { RowError } from '../../errors.js';
import type { PyDict, PyValue } from '../../jinja/index.js';
import { imageReference, type ImageReference } from './image-reference.js';

/** Columns of a row that name its images. */
export const imageColumns = ['image', 'images'];

/** Whether a column names any: empty texts and lists are absence. */
export function hasImages(row: PyDict, name: string): boolean {
  const value = row.get(name) ?? null;
  return value !== null && value !== '' && !(Array.isArray(value) && value.length === 0);
}

/** @throws RowError */
export function assertNoVideo(row: PyDict): void {
  for (const name of ['video', 'videos'])
    if (hasImages(row, name)) throw new RowError(name, 'cannot be used: videos are not read');
}

/** The images of `image` or `images`, one or a list of them. @throws RowError */
export function columnImages(row: PyDict): ImageReference[] {
  const [name, other] = imageColumns.filter((each) => hasImages(row, each));
  if (name === undefined) return [];
  if (other !== undefined) throw new RowError(other, `cannot stand beside ${name}`);
  const value = row.get(name) ?? null;
  const listed: readonly (readonly [PyValue, string])[] = Array.isArray(value)
    ? value.map((each, index) => [each, `${name}[${index}]`])
    : [[value, name]];
  return listed.map(([each, field]) => {
    const reference = imageReference(each, field);
    if (!reference) throw new RowError(field, 'has none of bytes, path and url');
    return reference;
  });
}
