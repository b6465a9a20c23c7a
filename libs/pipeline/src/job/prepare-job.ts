import { isDiffusionFolder, openDiffusionModel, openModel } from '@emloc/models';

import { assertOptionsOf, withModality } from '../options/modality.js';
import { utcDay, type TuneOptions } from '../options/resolve.js';
import { pictureJob } from '../pictures/picture-job.js';
import { readGivenStart } from './given-start.js';
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
  if (await isDiffusionFolder(options.model)) return await onPictures({ ...options, date }, host);
  assertOptionsOf('tune', options, 'text');
  const model = await openModel(options.model, { allowUnusedLayers, signal: host.signal });
  try {
    const { options: whole, start } = await readGivenStart(options, model.layout, host.signal);
    return await textJob({ ...withModality(whole, model.layout), date }, { model, start }, host);
  } catch (error) {
    await model.close();
    throw error;
  }
}

async function onPictures(
  options: TuneOptions & { readonly date: string },
  host: PrepareHost,
): Promise<Job> {
  assertOptionsOf('tune', options, 'pictures');
  const { allowUnusedLayers } = options;
  const diffusion = await openDiffusionModel(options.model, {
    allowUnusedLayers,
    signal: host.signal,
  });
  try {
    const { layout } = diffusion.transformer;
    const { options: whole, start } = await readGivenStart(options, layout, host.signal);
    return await pictureJob(withModality(whole, layout), { diffusion, start }, host);
  } catch (error) {
    await diffusion.close();
    throw error;
  }
}
