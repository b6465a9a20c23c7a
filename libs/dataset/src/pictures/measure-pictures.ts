import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { ImageError, inspectImage, type ImageSize } from '@emloc/images';

import { DatasetError } from '../errors.js';
import { Limiter } from '../images/limiter.js';
import type { ListedFile } from './list-pictures.js';
import type { SizeOptions } from './picture-options.js';
import type { PictureProblem } from './picture-problems.js';
import { sizeProblem } from './plan-picture.js';

/** A picture that was looked at, not decoded. */
export interface MeasuredPicture extends ListedFile {
  /** As its EXIF orientation turns it, where that counts. */
  readonly size: ImageSize;
  /** Of its file, hexadecimal. */
  readonly sha256: string;
}

/** Pictures that are looked at at the same time. */
const atOnce = 8;

/**
 * Sizes and hashes, in the order of the pictures.
 * @returns pictures that can be used, and what is wrong with the others
 * @throws DatasetError DATASET_UNREADABLE where none can be decoded here; the signal's reason
 */
export async function measurePictures(
  pictures: readonly ListedFile[],
  options: SizeOptions,
  signal?: AbortSignal,
): Promise<{ readonly measured: MeasuredPicture[]; readonly problems: PictureProblem[] }> {
  const limiter = new Limiter(atOnce);
  const found = await Promise.all(
    pictures.map((picture) =>
      limiter.run(() => {
        signal?.throwIfAborted();
        return measure(picture, options);
      }),
    ),
  );
  return {
    measured: found.flatMap((each) => ('reason' in each ? [] : [each])),
    problems: found.flatMap((each) => ('reason' in each ? [each] : [])),
  };
}

async function measure(
  picture: ListedFile,
  options: SizeOptions,
): Promise<MeasuredPicture | PictureProblem> {
  const problem = (reason: string): PictureProblem => ({
    kind: 'picture',
    place: picture.name,
    reason,
  });
  try {
    const input = { kind: 'file', path: picture.path, label: '' } as const;
    const { width, height } = await inspectImage(input, options);
    const reason = sizeProblem({ width, height }, options);
    if (reason !== null) return problem(reason);
    return { ...picture, size: { width, height }, sha256: await hashFile(picture.path) };
  } catch (error) {
    return problem(reasonOf(error));
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

function reasonOf(error: unknown): string {
  if (error instanceof ImageError) {
    const reason = error.message.replace(/^: /, '');
    if (error.code !== 'IMAGE_DECODER_MISSING') return reason;
    throw new DatasetError('DATASET_UNREADABLE', `pictures: ${reason}`, { cause: error });
  }
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  return `cannot be read: ${code}`;
}
