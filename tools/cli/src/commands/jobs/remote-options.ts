import { basename, resolve } from 'node:path';
import { archivedRowsName } from '@emloc/contracts';
import { leadsToPictures, pictureFiles, rowFiles } from '@emloc/dataset';
import { resolveTuneOptions } from '@emloc/pipeline';
import type { Dataset, EmlocClient, PlainTuneOptions } from '@emloc/sdk';
import type { PackedFile } from '@emloc/untrusted';

import type { CommandTools } from '../../command/define-command.js';
import { checkOptions } from '../../exit-code.js';
import { deployedSource, type JobSource } from '../../job-sources.js';

type Shown = Pick<CommandTools, 'progress' | 'signal'>;

/** What the flags say of a job: files by their names here or on the deployment. */
type GivenOptions = Omit<PlainTuneOptions, 'data' | 'moreData' | 'validation' | 'classData'> & {
  readonly data: string;
  readonly moreData?: readonly string[];
  readonly validation?: string | null;
  readonly classData?: string | null;
};

/**
 * The job that the flags describe, with its local files and folders uploaded: not before its
 * options have been looked at, which the deployment does again.
 * @throws the typed errors of an option out of its range, of pictures, and of the client
 */
export async function remoteOptions(
  client: EmlocClient,
  given: GivenOptions,
  shown: Shown,
): Promise<PlainTuneOptions> {
  const { data, moreData = [], validation, classData, ...same } = given;
  const { columns = null } = given;
  checkOptions(() =>
    resolveTuneOptions({ ...same, classData, validation, data, moreData, out: '' }),
  );
  const sourceOf = async (path: string, other?: string | null): Promise<JobSource> =>
    deployedSource(path) ?? {
      dataset: (
        await upload(client, path, {
          ...{ ...shown, columns },
          other: other ? localPath(other) : null,
        })
      ).name,
    };
  const first = await sourceOf(data, classData);
  const more: JobSource[] = [];
  for (const path of moreData) more.push(await sourceOf(path));
  return {
    ...same,
    data: first,
    ...(more.length > 0 ? { moreData: more } : {}),
    ...(validation ? { validation: await sourceOf(validation) } : {}),
    ...(classData ? { classData: await sourceOf(classData, data) } : {}),
  };
}

/** Null for what is on the deployment. */
function localPath(path: string): string | null {
  return deployedSource(path) === null ? path : null;
}

interface UploadedAs extends Shown {
  /** For people; default: that of the file or folder. */
  readonly displayName?: string | undefined;
  /** Folder of pictures that is left out of this one. */
  readonly other?: string | null;
  /** Of rows, as they are named for the job. */
  readonly columns?: string | null;
}

/**
 * Stores on the deployment a file of rows with the images that they name, or a folder of pictures
 * with what is told of them.
 */
export async function upload(
  client: EmlocClient,
  path: string,
  {
    progress,
    signal,
    other = null,
    columns = null,
    displayName = basename(resolve(path)),
  }: UploadedAs,
): Promise<Dataset> {
  const source = (await leadsToPictures(path))
    ? await pictureFiles(path, { other, signal })
    : await rowsWithImages(path, { columns, signal });
  return client.uploadDataset(source, {
    signal,
    displayName,
    onProgress: (done, total) => progress.update('uploading', done, total),
  });
}

/** The file itself where its rows name no image files. */
async function rowsWithImages(
  path: string,
  options: { readonly columns: string | null; readonly signal: AbortSignal },
): Promise<string | readonly PackedFile[]> {
  const images = await rowFiles(path, options);
  return images.length === 0 ? path : [{ name: archivedRowsName, path }, ...images];
}
