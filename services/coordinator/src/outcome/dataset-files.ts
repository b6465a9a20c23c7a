import { mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { withUploads, type PlainTuneOptions, type StoredObject } from '@emloc/contracts';
import { unpackDataset, type JobStorage } from '@emloc/job-storage';
import { getObjectFile, type ObjectBucket } from '@emloc/nats';
import type { TuneOptions } from '@emloc/pipeline';
import { isArchive } from '@emloc/untrusted';

import type { SourceObjects } from '../job-service/sources.js';
import { engineOptions } from '../job-service/tune-options.js';

/** Options for the engine, whose files are there until `close`. */
interface HeldOptions {
  readonly options: TuneOptions;
  /** A folder of their own; `options.out` lies in it. */
  readonly folder: string;
  close(): Promise<void>;
}

/** Options as they were checked, and where uploaded data is. */
export interface OptionSources extends SourceObjects {
  readonly plain: PlainTuneOptions;
}

/** Brings uploaded data sets to where the engine can read them. */
export interface DatasetFiles {
  /**
   * Archives are unpacked. With `maxBytes`, no more than the first part of larger rows is fetched,
   * a little more than so many bytes.
   * @throws NatsError; JobStorageError JOB_DATASET_INVALID; the typed errors of the options
   */
  open(
    sources: OptionSources,
    options?: { readonly signal?: AbortSignal; readonly maxBytes?: number },
  ): Promise<HeldOptions>;
}

type FetchOptions = NonNullable<Parameters<DatasetFiles['open']>[1]>;

/** @param modelFolder where a model is on this host: a path as it is, or of a hub name */
export function createDatasetFiles(
  storage: JobStorage,
  scratch: string,
  modelFolder: (model: string) => Promise<string>,
): DatasetFiles {
  return {
    open: async ({ plain, ...objects }, fetching = {}) => {
      const folder = await mkdtemp(join(scratch, 'job-'));
      const close = (): Promise<void> => rm(folder, { recursive: true, force: true });
      const placeOf = async (
        source: PlainTuneOptions['validation'],
        object: StoredObject | undefined,
        name: string,
      ): Promise<string | null> => {
        if (object) return fetchDataset(storage, object, join(folder, `${name}.jsonl`), fetching);
        return source ? pathOf(source) : null;
      };
      const placesOf = async (
        sources: readonly PlainTuneOptions['data'][],
        uploaded: readonly StoredObject[],
      ): Promise<readonly string[]> => {
        const places: string[] = [];
        for (const { source, upload } of withUploads(sources, uploaded))
          places.push((await placeOf(source, upload, `data-${places.length + 2}`)) ?? '');
        return places;
      };
      try {
        return {
          options: engineOptions(plain, {
            data: (await placeOf(plain.data, objects.data, 'data')) ?? '',
            moreData: await placesOf(plain.moreData ?? [], objects.moreData ?? []),
            validation: await placeOf(plain.validation, objects.validation, 'validation'),
            classData: await placeOf(plain.classData, objects.classData, 'class-data'),
            model: await modelFolder(plain.model),
            out: join(folder, 'adapter'),
          }),
          folder,
          close,
        };
      } catch (error) {
        await close();
        throw error;
      }
    },
  };
}

/** Archives are fetched whole. */
async function fetchDataset(
  storage: JobStorage,
  { bucket: bucketName, name, sizeBytes }: StoredObject,
  path: string,
  { signal, maxBytes }: FetchOptions,
): Promise<string> {
  const bucket = storage.bucketOf(bucketName);
  if (maxBytes !== undefined && sizeBytes > BigInt(maxBytes)) {
    await fetchFirst(bucket, name, { path, maxBytes, signal });
    if (!(await isArchive(path))) return path;
    await rm(path);
  }
  await getObjectFile(bucket, name, path, { signal });
  return unpackDataset(path, { signal });
}

/** Ends reading an object of which enough is there. */
class EnoughRead extends Error {}

async function fetchFirst(
  bucket: ObjectBucket,
  name: string,
  { path, maxBytes, signal }: { path: string; maxBytes: number; signal?: AbortSignal | undefined },
): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  const write = async (offset: number, bytes: Uint8Array): Promise<void> => {
    await file.write(bytes, 0, bytes.length, offset);
    if (offset + bytes.length > maxBytes) throw new EnoughRead();
  };
  try {
    await bucket.get(name, { write }, { signal });
  } catch (error) {
    if (!(error instanceof EnoughRead)) throw error;
  } finally {
    await file.close();
  }
}

function pathOf(source: PlainTuneOptions['data']): string {
  return typeof source === 'string' ? source : '';
}
