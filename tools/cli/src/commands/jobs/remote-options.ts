import { resolveTuneOptions } from '@emloc/pipeline';
import type { Dataset, EmlocClient, PlainTuneOptions } from '@emloc/sdk';

import type { CommandTools } from '../../command/define-command.js';
import { checkOptions } from '../../exit-code.js';
import {
  assertUploadable,
  deployedFolder,
  deployedSource,
  type JobSource,
} from '../../job-sources.js';

type Shown = Pick<CommandTools, 'progress' | 'signal'>;

/** What the flags say of a job: files by their names here or on the deployment. */
type GivenOptions = Omit<PlainTuneOptions, 'data' | 'validation' | 'classData'> & {
  readonly data: string;
  readonly validation?: string | null;
  readonly classData?: string | null;
};

/**
 * The job that the flags describe, with its local files uploaded: not before its options have been
 * looked at, which the deployment does again.
 * @throws UsageError for a folder of this machine; the typed error of an option out of its range
 */
export async function remoteOptions(
  client: EmlocClient,
  given: GivenOptions,
  shown: Shown,
): Promise<PlainTuneOptions> {
  const { data, validation, classData, ...same } = given;
  checkOptions(() => resolveTuneOptions({ ...same, classData, validation, data, out: '' }));
  const sourceOf = async (flag: string, text: string): Promise<JobSource> => {
    const deployed = deployedSource(text);
    if (deployed !== null) return deployed;
    await assertUploadable(flag, text);
    return { dataset: (await upload(client, text, shown)).name };
  };
  return {
    ...same,
    ...(classData ? { classData: deployedFolder('--class-data', classData) } : {}),
    data: await sourceOf('--data', data),
    ...(validation ? { validation: await sourceOf('--validation', validation) } : {}),
  };
}

/** Stores a file of rows on the deployment. */
export function upload(
  client: EmlocClient,
  file: string,
  { progress, signal, displayName }: Shown & { readonly displayName?: string | undefined },
): Promise<Dataset> {
  return client.uploadDataset(file, {
    signal,
    displayName,
    onProgress: (done, total) => progress.update('uploading', done, total),
  });
}
