import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlainTuneOptions, StoredObject } from '@emloc/contracts';
import type { JobStorage } from '@emloc/job-storage';
import type { TuneOptions } from '@emloc/pipeline';
import { getObjectFile } from '@emloc/service-kit';
import { engineOptions } from '../job-service/tune-options.js';

/** Options for the engine, whose files are there until `close`. */
export interface HeldOptions {
  readonly options: TuneOptions;
  /** A folder of their own; `options.out` lies in it. */
  readonly folder: string;
  close(): Promise<void>;
}

/** Options as they were checked, and where uploaded rows are. */
export interface OptionSources {
  readonly plain: PlainTuneOptions;
  readonly data?: StoredObject;
  readonly validation?: StoredObject;
}

/** Brings uploaded data sets to where the engine can read them. */
export interface DatasetFiles {
  /** @throws ServiceKitError; the typed errors of the options */
  open(sources: OptionSources, signal?: AbortSignal): Promise<HeldOptions>;
}

export function createDatasetFiles(storage: JobStorage, scratch: string): DatasetFiles {
  const fetched = async (object: StoredObject, path: string, signal: AbortSignal | undefined): Promise<string> => {
    await getObjectFile(storage.bucketOf(object.bucket), object.name, path, { signal });
    return path;
  };
  return {
    open: async ({ plain, data, validation }, signal) => {
      const folder = await mkdtemp(join(scratch, 'job-'));
      const close = (): Promise<void> => rm(folder, { recursive: true, force: true });
      try {
        const paths = {
          data: data ? await fetched(data, join(folder, 'data.jsonl'), signal) : pathOf(plain.data),
          validation: validation ? await fetched(validation, join(folder, 'validation.jsonl'), signal) : plain.validation ? pathOf(plain.validation) : null,
        };
        return { options: engineOptions(plain, { ...paths, out: join(folder, 'adapter') }), folder, close };
      } catch (error) {
        await close();
        throw error;
      }
    },
  };
}

function pathOf(source: PlainTuneOptions['data']): string {
  return typeof source === 'string' ? source : '';
}
