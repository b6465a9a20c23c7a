import {
  Device,
  DeviceError,
  MemoryBudget,
  type DeviceRates,
  type DeviceTarget,
} from '@emloc/device';

import type { Job, PrepareHost } from '../job/job.js';
import { prepareJob } from '../job/prepare-job.js';
import type { TuneOptions } from '../options/resolve.js';
import { budgetBytesOf } from './job-budget.js';
import { measureRates, type BenchmarkShape } from './measure-rates.js';
import { planWays } from './plan-ways.js';
import { planJob, type JobPlan, type PlanInputs } from './plan.js';
import type { Way } from './ways.js';

/**
 * Peaks and times of a job on a device with the target's profile. The device is opened only to see
 * how fast it is.
 */
export async function planTune(
  options: TuneOptions,
  target: DeviceTarget,
  host: PlanHost = {},
): Promise<JobPlan> {
  return await withPlanned(options, target, host, planJob);
}

/**
 * As `planTune`, and what other ways to train the same steps would take.
 * @returns ways null where there are no others
 */
export async function planTuneWays(
  options: TuneOptions,
  target: DeviceTarget,
  host: PlanHost = {},
): Promise<{ readonly plan: JobPlan; readonly ways: readonly Way[] | null }> {
  return await withPlanned(options, target, host, async (inputs) => {
    const plan = await planJob(inputs);
    return { plan, ways: await planWays(inputs, plan) };
  });
}

/** How a job is prepared for a plan, and who hears of its model. */
type PlanHost = PrepareHost & { readonly onNotice?: (message: string) => void };

async function withPlanned<T>(
  options: TuneOptions,
  target: DeviceTarget,
  { onNotice, ...host }: PlanHost,
  plan: (inputs: PlanInputs & { readonly rates: DeviceRates }) => Promise<T>,
): Promise<T> {
  await using job = await prepareJob(options, host);
  for (const notice of job.model.notices) onNotice?.(notice);
  const rates = await ratesOf(job, target);
  const budgetBytes = await budgetBytesOf(job, target.profile);
  return await plan({ job, profile: target.profile, budgetBytes, rates });
}

async function ratesOf(job: Job, target: DeviceTarget): Promise<DeviceRates> {
  let device: Device;
  try {
    device = new Device(
      await target.open(Number.POSITIVE_INFINITY),
      new MemoryBudget(Number.POSITIVE_INFINITY),
    );
  } catch (error) {
    if (
      target.ratesElsewhere &&
      error instanceof DeviceError &&
      error.code === 'DEVICE_UNAVAILABLE'
    )
      return target.ratesElsewhere;
    throw error;
  }
  await using opened = device;
  return await measureRates(opened, benchmarkShape(job));
}

/** The shapes of a job's average micro-batch. */
function benchmarkShape(job: Job): BenchmarkShape {
  const { trainRows } = job;
  return {
    layout: job.model.layout,
    sequences: Math.min(job.options.batch, 16),
    loraRank: job.options.rank,
    sequenceLength: Math.max(2, sequenceLength(trainRows)),
  };
}

/** Of an average text, or of a picture with its prompt, whichever layout has most rows. */
function sequenceLength(rows: Job['trainRows']): number {
  const { layouts, items } = rows.shape([0]);
  const lengths = [...layouts.values()].map((offsets) => offsets.at(-1) ?? 0);
  return items === 1
    ? lengths.reduce((most, length) => Math.max(most, length), 0)
    : Math.round(rows.items / rows.count);
}
