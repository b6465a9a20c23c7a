import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  assertReplaceable,
  CheckpointError,
  hiddenPath,
  holdPlace,
  keepCard,
  reportFileName,
  runFileName,
  writeOutput,
  type OutputPlace,
} from '@emloc/checkpoint';
import { EmlocError, type EmlocClient, type OnTransfer } from '@emloc/sdk';

import { reportRun } from './run-report.js';

/** What of a job is downloaded, what tells that a folder holds one, and what is put beside it. */
const kinds = Object.freeze({
  adapter: {
    name: 'adapter',
    marks: ['adapter_config.json', 'pytorch_lora_weights.safetensors'],
    beside: [reportFileName, runFileName],
  },
  merged: { name: 'merged checkpoint', marks: ['config.json', 'vae/config.json'], beside: [] },
});

export interface DownloadTarget {
  readonly out: string;
  readonly part: keyof typeof kinds;
  readonly overwrite: boolean;
}

/**
 * Looks whether the result of a job can be written, before the job is created.
 * @throws EmlocError SDK_OUTPUT_EXISTS; CheckpointError CHECKPOINT_OUTPUT_UNWRITABLE,
 * CHECKPOINT_OUTPUT_BUSY
 */
export async function assertDownloadable(target: DownloadTarget): Promise<void> {
  await inSdkWords(async () => {
    await using place = await holdPlace(target.out);
    await assertFree(place, target);
  });
}

/**
 * Writes the result of a job as `tune` and `merge` write theirs: through links, into mount points,
 * beside what else is in the folder. What has arrived when it is stopped stays hidden there for the
 * next call.
 * @throws as `assertDownloadable`, and what the client throws
 */
export async function downloadInto(
  client: EmlocClient,
  job: string,
  {
    signal,
    onProgress,
    onNotice,
    ...target
  }: DownloadTarget & {
    readonly signal: AbortSignal;
    readonly onProgress: OnTransfer;
    /** Hears what went wrong beside the result. */
    readonly onNotice: OnNotice;
  },
): Promise<void> {
  await inSdkWords(async () => {
    await using place = await holdPlace(target.out);
    await assertFree(place, target);
    const arrived = hiddenPath(place, 'download');
    const { part, overwrite } = target;
    // Whole, but not in its place when a process was killed: some of it may be gone by now.
    await rm(arrived, { recursive: true, force: true });
    await client.downloadJob(job, arrived, { part, signal, onProgress });
    const fill = async (folder: string): Promise<void> => {
      await moveEntries(arrived, folder);
      if (part === 'adapter') await keepCard(place.folder, folder);
    };
    await writeOutput(place, fill, { overwrite, signal });
    await rm(arrived, { recursive: true, force: true });
    if (part === 'adapter') await reportDownloaded(client, job, { folder: place.folder, onNotice });
  });
}

/** The page of a job that a deployment ran. */
async function reportDownloaded(
  client: EmlocClient,
  job: string,
  { folder, onNotice }: { readonly folder: string; readonly onNotice: OnNotice },
): Promise<void> {
  const { report = null } = (await client.getJob(job).catch(() => null)) ?? {};
  if (report) await reportRun(folder, report, onNotice);
  else
    onNotice('the report of the job could not be written: the deployment does not tell its stages');
}

type OnNotice = (message: string) => void;

function assertFree(place: OutputPlace, { part, overwrite }: DownloadTarget): Promise<void> {
  return assertReplaceable(place, {
    overwrite,
    kind: kinds[part],
    written: [...kinds[part].marks, ...kinds[part].beside],
  });
}

async function moveEntries(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const name of await readdir(from)) await rename(join(from, name), join(to, name));
}

/** What is in the way has the code of downloads. */
async function inSdkWords(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw error instanceof CheckpointError && error.code === 'CHECKPOINT_OUTPUT_EXISTS'
      ? new EmlocError('SDK_OUTPUT_EXISTS', error.message, { cause: error })
      : error;
  }
}
