import { join } from 'node:path';
import {
  fromTuneOptionsMessage,
  type JobSpec,
  type StoredObject,
  type UploadedDataset,
} from '@emloc/contracts';
import { JobStorageError, storedObjectMessage, type JobStorage } from '@emloc/job-storage';
import { getObjectFile } from '@emloc/nats';
import { resolveTuneOptions, type TuneOptions } from '@emloc/pipeline';

/** Where uploaded rows go, and how long they are waited for. */
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
 * The engine's options of a job; uploaded rows are fetched first.
 * @throws the typed errors of storage and options
 */
export async function jobOptionsOf(
  spec: JobSpec,
  storage: JobStorage,
  fetch: FetchOptions,
): Promise<TuneOptions> {
  if (!spec.options)
    throw new JobStorageError('JOB_SPEC_MISSING', `job spec of ${spec.job} has no options`);
  const { data, validation, classData, ...options } = fromTuneOptionsMessage(spec.options);
  return resolveTuneOptions({
    ...options,
    model: await fetch.modelFolder(options.model, fetch.signal),
    data: await pathOf(data, { ...fetch, object: spec.data, storage, file: 'data.jsonl' }),
    validation:
      validation === undefined || validation === null
        ? null
        : await pathOf(validation, {
            ...fetch,
            object: spec.validation,
            storage,
            file: 'validation.jsonl',
          }),
    classData: classData ? folderOf(classData) : null,
    out: '',
  });
}

/** Folders are not uploaded. */
function folderOf(source: string | UploadedDataset): string {
  if (typeof source === 'string') return source;
  throw new JobStorageError(
    'JOB_SPEC_MISSING',
    `the job spec has ${source.dataset} for a folder of images, which cannot be uploaded`,
  );
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

/** Fetches a data set; its name is its hash, which is checked. */
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
  return path;
}
