import {
  Device,
  DeviceError,
  MemoryBudget,
  type DeviceRates,
  type DeviceTarget,
} from '@emloc/device';

import type { Job } from '../job/job.js';
import { meanTokens } from './is-estimated.js';
import { withLaunchRates } from './launch-rates.js';
import { meanBatchRows } from './mean-batch-rows.js';
import { measureRates, type BenchmarkShape } from './measure-rates.js';
import { measureReads } from './reads.js';
import { withTrialSteps } from './trial-steps.js';

/** How fast a job's device is, and the disk that its model lies on. */
interface JobRates {
  readonly rates: DeviceRates;
  readonly readSecondsPerByte: number;
}

/**
 * The device is opened only to see how fast it is.
 * @throws DeviceError where it is not there and no rates of it are known
 */
export async function ratesOf(
  job: Job,
  target: DeviceTarget,
  signal?: AbortSignal,
): Promise<JobRates> {
  return {
    rates: await deviceRates(job, target, signal),
    readSecondsPerByte: await measureReads(job.whole),
  };
}

async function deviceRates(
  job: Job,
  target: DeviceTarget,
  signal?: AbortSignal,
): Promise<DeviceRates> {
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
  const rates = await measureRates(opened, benchmarkShape(job), signal);
  const tried = await withTrialSteps(opened, job, { rates, signal });
  return await withLaunchRates(opened, job, { rates: tried, signal });
}

/** The shapes of a job's average micro-batch. */
function benchmarkShape(job: Job): BenchmarkShape {
  const { trainRows } = job;
  return {
    layout: job.model.layout,
    sequences: Math.min(meanBatchRows(job), 16),
    loraRank: job.options.rank,
    sequenceLength: Math.max(2, meanTokens(trainRows)),
  };
}
