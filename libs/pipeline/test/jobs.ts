import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Job } from '../src/job/job.js';
import { prepareJob } from '../src/job/prepare-job.js';
import type { TuneReport } from '../src/job/tune-report.js';
import type { TuneOptions } from '../src/options/resolve.js';
import { tune, type TuneHost } from '../src/tune.js';
import { digestsOf } from './digests.js';
import { openWorkspace, tuneHost, type Workspace } from './fixtures.js';

/** What is compared of a job's output folder. */
const files = ['adapter_model.safetensors', 'emloc.json', 'uncorrected/adapter_model.safetensors'];

/** Jobs of a suite, in a workspace that it has from its beginning to its end. */
export interface Jobs {
  readonly workspace: Workspace;
  /** Runs a job into the output folder of that name. */
  run(
    name: string,
    overrides?: Partial<TuneOptions>,
    host?: Partial<TuneHost>,
  ): Promise<TuneReport>;
  digests(name: string): Promise<readonly string[]>;
  adapterOf(name: string): Promise<Buffer>;
  withJob<T>(overrides: Partial<TuneOptions>, use: (job: Job) => T | Promise<T>): Promise<T>;
}

/** To be called where a suite is declared. */
export function useJobs(shape: Partial<TuneOptions>, ofAll: Partial<TuneHost> = {}): Jobs {
  let opened: Workspace | undefined;
  beforeAll(async () => {
    opened = await openWorkspace();
  });
  afterAll(() => opened?.close());
  const workspace = (): Workspace => {
    if (!opened) throw new Error('the workspace is open in tests only');
    return opened;
  };
  const folderOf = (name: string): string => join(workspace().outputs, name);
  return {
    get workspace() {
      return workspace();
    },
    run: (name, overrides = {}, host = {}) =>
      tune(
        workspace().options({ ...shape, out: folderOf(name), ...overrides }),
        tuneHost({ ...ofAll, ...host }),
      ),
    digests: (name) => digestsOf(folderOf(name), files),
    adapterOf: (name) => readFile(join(folderOf(name), 'adapter_model.safetensors')),
    withJob: async (overrides, use) => {
      await using job = await prepareJob(workspace().options({ ...shape, ...overrides }));
      return await use(job);
    },
  };
}
