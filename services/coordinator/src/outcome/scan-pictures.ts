import { DatasetError, defaultSizes, readPictures, type PictureOptions } from '@emloc/dataset';
import type { TuneOptions } from '@emloc/pipeline';

import type { FolderProblem } from './engine.js';

type FolderOptions = Pick<
  TuneOptions,
  | 'data'
  | 'validation'
  | 'instancePrompt'
  | 'classData'
  | 'classPrompt'
  | 'crop'
  | 'flip'
  | 'buckets'
  | 'seed'
> & { readonly resolution: number };

type Sources = Pick<PictureOptions, 'instance' | 'classes'>;

/** Problems of one folder that are told, as of rows. */
const maxProblems = 10;

/**
 * Looks at the folders of pictures of a job until the signal aborts: what is not seen then is
 * checked by the first stage. Pictures must lie in their folder.
 * @throws DatasetError where a folder cannot be read or has no pictures
 */
export async function scanPictures(
  options: FolderOptions,
  signal: AbortSignal,
): Promise<readonly FolderProblem[]> {
  const { data, validation, instancePrompt: prompt, classData, classPrompt } = options;
  const classes = classData === null ? null : { path: classData, prompt: classPrompt };
  const scan = (sources: Sources): Promise<readonly string[]> =>
    problemsIn({ ...sizesOf(options), ...sources }, signal);
  const learned = await scan({ instance: { path: data, prompt }, classes });
  const held =
    validation === null
      ? []
      : await scan({ instance: { path: validation, prompt }, classes: null });
  return [
    ...learned.map((description) => ({ option: optionOf(description, classData), description })),
    ...held.map((description) => ({ option: 'validation' as const, description })),
  ];
}

function sizesOf(options: FolderOptions): Omit<PictureOptions, keyof Sources> {
  const { resolution, crop, flip, buckets, seed } = options;
  return { ...defaultSizes, resolution, crop, flip, buckets, seed, restrictToRoot: true };
}

/** Files of the class are told with their folder's path, those of what is learned without. */
function optionOf(description: string, classData: string | null): FolderProblem['option'] {
  return classData !== null && description.startsWith(classData) ? 'classData' : 'data';
}

async function problemsIn(
  options: PictureOptions,
  signal: AbortSignal,
): Promise<readonly string[]> {
  try {
    await readPictures(options, signal);
    return [];
  } catch (error) {
    if (signal.aborted && error === signal.reason) return [];
    if (!(error instanceof DatasetError && error.code === 'DATASET_INVALID_PICTURES')) throw error;
    // The first line counts the problems.
    return error.messageForOwner.split('\n').slice(1, 1 + maxProblems);
  }
}
