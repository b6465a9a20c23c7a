import { basename, resolve } from 'node:path';
import { leadsToPictures, pictureFiles } from '@emloc/dataset';
import { resolveTuneOptions } from '@emloc/pipeline';
import type { Dataset, EmlocClient, PlainTuneOptions } from '@emloc/sdk';

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
  checkOptions(() =>
    resolveTuneOptions({ ...same, classData, validation, data, moreData, out: '' }),
  );
  const sourceOf = async (path: string, other?: string | null): Promise<JobSource> =>
    deployedSource(path) ?? {
      dataset: (await upload(client, path, { ...shown, other: other ? localPath(other) : null }))
        .name,
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
}

/** Stores a file of rows, or a folder of pictures with what is told of them, on the deployment. */
export async function upload(
  client: EmlocClient,
  path: string,
  { progress, signal, other = null, displayName = basename(resolve(path)) }: UploadedAs,
): Promise<Dataset> {
  const source = (await leadsToPictures(path)) ? await pictureFiles(path, { other, signal }) : path;
  return client.uploadDataset(source, {
    signal,
    displayName,
    onProgress: (done, total) => progress.update('uploading', done, total),
  });
}
