import type { LoraAdapter } from '@emloc/checkpoint';
import { DeviceAdapter } from '@emloc/finetune';

import { openModelPager } from './environment.js';
import type { JobRun } from './job-run.js';

/** Shows what the original makes, with an adapter or without, where a job is to show it. */
export async function sampleOriginal(
  { job: { model, sampler }, environment }: JobRun,
  moment: 0 | 'final',
  adapter: LoraAdapter | null,
): Promise<void> {
  if (!sampler) return;
  const { clock, device } = environment;
  clock.enter('front');
  using _stage = clock.during('front');
  const { layout, source } = model;
  await using pager = openModelPager(environment, source, 'front');
  using loaded = adapter && DeviceAdapter.load(device, layout, adapter, { trainable: false });
  await sampler.make(moment, { model: { device, layout, pager }, adapter: loaded });
}
