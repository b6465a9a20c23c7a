import { openModel } from '@emloc/models';

import { withModality } from '../options/modality.js';
import { utcDay, type TuneOptions } from '../options/resolve.js';
import type { Job, PrepareHost } from './job.js';
import { textJob } from './text-job.js';

/**
 * Reads and checks model, data and options against each other. A job without a date gets that of
 * today.
 * @throws the typed errors of each
 */
export async function prepareJob(options: TuneOptions, host: PrepareHost = {}): Promise<Job> {
  const date = options.date ?? utcDay(new Date());
  const { allowUnusedLayers } = options;
  const model = await openModel(options.model, { allowUnusedLayers });
  try {
    return await textJob({ ...withModality(options, model.layout), date }, model, host);
  } catch (error) {
    await model.close();
    throw error;
  }
}
