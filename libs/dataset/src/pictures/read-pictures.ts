import { createHash } from 'node:crypto';
import { posix } from 'node:path';

import { DatasetError } from '../errors.js';
import { countOf } from '../rows/warnings.js';
import { measurePictures } from './measure-pictures.js';
import { folderOf, openSource } from './open-source.js';
import {
  assertPictureOptions,
  type PictureOptions,
  type PictureSource,
} from './picture-options.js';
import { invalidPictures, type PictureProblem } from './picture-problems.js';
import { reportPictures, type Ignored, type PictureReport } from './picture-report.js';
import type { PictureRow } from './picture-row.js';
import { planPicture } from './plan-picture.js';
import { readCaptions, type Caption } from './read-captions.js';

export interface Pictures {
  /** Those of what is learned by name, then those of the class by name. */
  readonly rows: readonly PictureRow[];
  readonly report: PictureReport;
  /** SHA-256 of names, captions and contents, hexadecimal: not of how they are cut. */
  readonly sha256: string;
}

/**
 * Reads a folder of pictures with their captions, and one of their class where there is one; opens
 * and measures all of them, and decides how each is cut.
 * @throws DatasetError DATASET_INVALID_PICTURES with all problems, DATASET_UNREADABLE,
 * DATASET_EMPTY, DATASET_INVALID_OPTION; the signal's reason
 */
export async function readPictures(
  options: PictureOptions,
  signal?: AbortSignal,
): Promise<Pictures> {
  assertPictureOptions(options);
  const { instance, classes } = options;
  const except = await foldersApart(instance, classes);
  const learned = await readSource(instance, { ...options, except: except.instance, signal });
  const ofClass =
    classes && (await readSource(classes, { ...options, except: except.classes, signal }));
  const problems = [...learned.problems, ...placedIn(classes, ofClass?.problems ?? [])];
  if (problems.length > 0) throw invalidPictures(instance.path, problems);
  const rows = [
    ...rowsOf(learned, options, { isClass: false }),
    ...(ofClass ? rowsOf(ofClass, options, { isClass: true }) : []),
  ];
  const ignored = [learned.ignored, ...(ofClass ? [ofClass.ignored] : [])];
  return { rows, report: reportPictures(rows, ignored), sha256: hashOf(rows) };
}

/** A folder that lies in the other one is left out of it. */
async function foldersApart(
  instance: PictureSource,
  classes: PictureSource | null,
): Promise<{ readonly instance: string[]; readonly classes: string[] }> {
  const [own, other] = [await folderOf(instance.path), classes && (await folderOf(classes.path))];
  if (own !== null && own === other)
    throw new DatasetError(
      'DATASET_INVALID_OPTION',
      `pictures: ${classes?.path ?? ''}: is the folder of what is learned, too; another one is expected for the class`,
    );
  return { instance: other === null ? [] : [other], classes: own === null ? [] : [own] };
}

interface Source {
  readonly measured: Awaited<ReturnType<typeof measurePictures>>['measured'];
  readonly captions: ReadonlyMap<string, Caption>;
  readonly ignored: Ignored;
  readonly problems: readonly PictureProblem[];
}

async function readSource(
  { path, prompt }: PictureSource,
  {
    except,
    signal,
    ...options
  }: PictureOptions & { readonly except: readonly string[]; readonly signal?: AbortSignal },
): Promise<Source> {
  const { restrictToRoot } = options;
  const files = await openSource(path, { restrictToRoot, except, signal });
  const { captions, unused, problems } = await readCaptions(files.pictures, files, prompt);
  const found = await measurePictures(files.pictures, options, signal);
  const ignored = { hidden: files.hidden, others: files.others + unused };
  const all = [...files.problems, ...found.problems, ...problems];
  if (files.pictures.length === 0 && all.length === 0) throw empty(path, ignored);
  return { measured: found.measured, captions, ignored, problems: all };
}

function empty(path: string, { hidden, others }: Ignored): DatasetError {
  const there = hidden + others === 0 ? '' : `: ${countOf(hidden + others, 'other file')} in it`;
  return new DatasetError('DATASET_EMPTY', `${path}: has no pictures${there}`);
}

function placedIn(
  source: PictureSource | null,
  problems: readonly PictureProblem[],
): PictureProblem[] {
  return problems.map((problem) => ({
    ...problem,
    place: posix.join(source?.path ?? '', problem.place),
  }));
}

function rowsOf(
  { measured, captions }: Source,
  options: PictureOptions,
  { isClass }: { readonly isClass: boolean },
): PictureRow[] {
  return measured.flatMap(({ name, path, size, sha256 }) => {
    const caption = captions.get(name);
    if (!caption) return [];
    const { text, source } = caption;
    const named = { seed: options.seed, name: isClass ? `class/${name}` : `instance/${name}` };
    const plan = planPicture(size, options, named);
    return [
      { image: path, name, caption: text, captionSource: source, isClass, size, sha256, plan },
    ];
  });
}

function hashOf(rows: readonly PictureRow[]): string {
  const hash = createHash('sha256');
  for (const { name, caption, isClass, sha256 } of rows)
    hash.update(`${JSON.stringify([name, caption, isClass, sha256])}\n`);
  return hash.digest('hex');
}
