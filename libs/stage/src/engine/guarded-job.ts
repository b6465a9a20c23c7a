import type { FileHasher } from '@emloc/checkpoint';
import { PipelineError, type Job } from '@emloc/pipeline';
import { guardJob, inputsHash, readInputFiles } from '@emloc/pipeline/stages';

import type { InputHashRequest } from '../contract.js';

interface Guarding {
  readonly context: { request(request: InputHashRequest): Promise<unknown> };
  readonly hasher: FileHasher;
}

/**
 * The job, with models whose tensors are compared, as they are read first, with what the first
 * stage has read. Paths and times do not count: other stages may be on other hosts.
 * @throws PipelineError PIPELINE_RESUME_MISMATCH where options, data or the model's other files are
 * not those that the job was begun with
 */
export async function guardedJob(job: Job, { context, hasher }: Guarding): Promise<Job> {
  const remember = async (name: string, hash: string): Promise<string> =>
    (await context.request({ type: 'input', name, hash })) as string;
  const hash = inputsHash(job.id, await readInputFiles(job.options));
  if ((await remember('files', hash)) !== hash) {
    throw new PipelineError(
      'PIPELINE_RESUME_MISMATCH',
      `the model in ${job.options.model} or the data is not what the job was begun with`,
    );
  }
  return guardJob(job, {
    hasher,
    remember: (tensor, found) => remember(`tensor ${tensor}`, found),
  }).job;
}
