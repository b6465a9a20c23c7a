import { DatasetError } from '../errors.js';
import { countOf } from '../rows/warnings.js';

/** Why a folder of pictures cannot be used. */
export interface PictureProblem {
  readonly kind: 'picture' | 'caption' | 'metadata' | 'folder';
  /** Path of the file, with the line where it has one, for the owner. */
  readonly place: string;
  /** Never holds text of the owner's. */
  readonly reason: string;
}

/** Problems are all named, up to this many; more are counted. */
const maxProblems = 5000;

const nouns: Readonly<Record<PictureProblem['kind'], readonly [one: string, many: string]>> = {
  picture: ['1 picture cannot be used', 'pictures cannot be used'],
  caption: ['1 picture has no caption', 'pictures have no caption'],
  metadata: ['1 row of metadata cannot be used', 'rows of metadata cannot be used'],
  folder: ['1 folder or link cannot be read', 'folders or links cannot be read'],
};

/** DATASET_INVALID_PICTURES: all problems for the owner, how many of which kind for a log. */
export function invalidPictures(path: string, problems: readonly PictureProblem[]): DatasetError {
  const counts = Object.entries(nouns).flatMap(([kind, [one, many]]) => {
    const count = problems.filter((problem) => problem.kind === kind).length;
    return count === 0 ? [] : [count === 1 ? one : `${count} ${many}`];
  });
  const message = `${path}: ${counts.join(', ')}`;
  const shown = problems.slice(0, maxProblems).map(({ place, reason }) => `${place}: ${reason}`);
  const more = problems.length - shown.length;
  return new DatasetError('DATASET_INVALID_PICTURES', message, {
    messageForOwner: [
      message,
      ...shown.map((line) => line.replace(/[\r\n\u2028\u2029]+/g, ' ')),
      ...(more > 0 ? [`and ${countOf(more, 'more problem')}`] : []),
    ].join('\n'),
  });
}
