import { createReadStream } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import {
  MergeOptions_Dtype as Dtype,
  MergeResultSchema,
  type MergeRequest,
  type StoredObject,
} from '@emloc/contracts';
import { bucketNames, storedObjectMessage } from '@emloc/job-storage';
import { getObjectFile, streamSource } from '@emloc/nats';
import { reportMessage, type StageAttempt, type StageHandler } from '@emloc/stage';

import type { CorrectorContract } from './contract.js';

const dtypes = Object.freeze({
  [Dtype.UNSPECIFIED]: undefined,
  [Dtype.FLOAT32]: 'float32',
  [Dtype.BFLOAT16]: 'bfloat16',
  [Dtype.FLOAT16]: 'float16',
} as const);

/**
 * Writes a checkpoint with the adapter merged into the weights, and stores its files among the
 * job's artifacts.
 */
export const mergeStage: StageHandler<MergeRequest, typeof MergeResultSchema> = {
  stage: 'merge',
  result: MergeResultSchema,
  run: async (attempt, { adapter, merge }) => {
    const folder = join(attempt.scratch, 'adapter');
    const out = join(attempt.scratch, 'merged');
    if (adapter) await fetchAdapter(attempt, adapter, folder);
    const { report } = await attempt.runEngine<CorrectorContract>(
      { kind: 'merge', adapter: folder, out, dtype: dtypes[merge?.dtype ?? Dtype.UNSPECIFIED] },
      refuse,
    );
    return { report: reportMessage('merge', report), files: await storeFiles(attempt, out) };
  },
};

/** What lies beside the weights of a PEFT adapter; those of diffusers need nothing. */
const peftFiles = { weights: 'adapter_model.safetensors', config: 'adapter_config.json' };

async function fetchAdapter(
  { storage, signal }: StageAttempt,
  { bucket, name }: StoredObject,
  folder: string,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const isPeft = basename(name) === peftFiles.weights;
  for (const object of [name, ...(isPeft ? [`${dirname(name)}/${peftFiles.config}`] : [])])
    await getObjectFile(storage.bucketOf(bucket), object, join(folder, basename(object)), {
      signal,
    });
}

async function storeFiles({ job, storage, signal }: StageAttempt, folder: string) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
  const files = [];
  for (const path of paths) {
    const stored = await storage.artifacts.put(
      `${job}/merged/${path}`,
      streamSource(createReadStream(join(folder, path), { highWaterMark: 2 ** 20 })),
      { signal },
    );
    files.push({ path, object: storedObjectMessage(bucketNames.artifacts, stored) });
  }
  return files;
}

function refuse(): Promise<never> {
  return Promise.reject(new Error('merging asks for nothing'));
}
