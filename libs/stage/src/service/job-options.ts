import { join } from 'node:path';
import {
  fromTuneOptionsMessage,
  withUploads,
  type JobSpec,
  type StoredObject,
  type UploadedDataset,
} from '@emloc/contracts';
import {
  JobStorageError,
  storedObjectMessage,
  unpackDataset,
  type JobStorage,
} from '@emloc/job-storage';
import { getObjectFile } from '@emloc/nats';
import { resolveTuneOptions, type TuneOptions } from '@emloc/pipeline';

/** Where uploaded data goes, and how long it is waited for. */
export interface FetchOptions {
  /**
   * Has no other files; those of the job are named by their part in it, whatever the upload was
   * called.
   */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** Where the model of a job is on this host: a path as it is, or of a hub name. */
  modelFolder(model: string, signal: AbortSignal): Promise<string>;
}

/**
 * The engine's options of a job; uploaded data is fetched first, archives are unpacked.
 * @throws the typed errors of storage and options
 */
export async function jobOptionsOf(
  spec: JobSpec,
  storage: JobStorage,
  fetch: FetchOptions,
): Promise<TuneOptions> {
  if (!spec.options)
    throw new JobStorageError('JOB_SPEC_MISSING', `job spec of ${spec.job} has no options`);
  const { data, moreData, validation, classData, ...options } = fromTuneOptionsMessage(
    spec.options,
  );
  const placeOf = (
    source: string | UploadedDataset | null | undefined,
    object: StoredObject | undefined,
    name: string,
  ): Promise<string> | null =>
    source ? pathOf(source, { ...fetch, object, storage, file: `${name}.jsonl` }) : null;
  const more: string[] = [];
  for (const { source, upload } of withUploads(moreData ?? [], spec.moreData))
    more.push((await placeOf(source, upload, `data-${more.length + 2}`)) ?? '');
  return resolveTuneOptions({
    ...options,
    model: await fetch.modelFolder(options.model, fetch.signal),
    data: (await placeOf(data, spec.data, 'data')) ?? '',
    moreData: more,
    validation: await placeOf(validation, spec.validation, 'validation'),
    classData: await placeOf(classData, spec.classData, 'class-data'),
    out: '',
  });
}

interface Fetching extends FetchOptions {
  readonly object: StoredObject | undefined;
  readonly storage: JobStorage;
  readonly file: string;
}

async function pathOf(source: string | UploadedDataset, fetching: Fetching): Promise<string> {
  if (typeof source === 'string') return source;
  if (!fetching.object)
    throw new JobStorageError(
      'JOB_SPEC_MISSING',
      `the job spec does not say where ${source.dataset} is`,
    );
  return fetchDataset(fetching.object, fetching);
}

/** Fetches a data set, whose hash is checked before anything is read of it. */
async function fetchDataset(
  { bucket, name, sha256 }: StoredObject,
  { storage, folder, file, signal }: Fetching,
): Promise<string> {
  const path = join(folder, file);
  const found = storedObjectMessage(
    bucket,
    await getObjectFile(storage.bucketOf(bucket), name, path, { signal }),
  ).sha256;
  if (found !== sha256)
    throw new JobStorageError(
      'JOB_SPEC_MISSING',
      `data set ${name} has the hash ${found}, the job names ${sha256}`,
    );
  return unpackDataset(path, { signal });
}
