import { at } from '@emloc/checked';
import type { Device, DeviceRates, KernelRate } from '@emloc/device';

import { leanMemoryPlan, type MemoryPlan } from '../job/environment.js';
import type { Job } from '../job/job.js';
import { createNullRun, rehearsalOn } from './null-run.js';
import { rehearseTraining } from './rehearse-training.js';
import { StageWork } from './stage-work.js';

/** Steps that are tried, in so many seconds or a few more; the first of them also warm up. */
const trial = { steps: 16, seconds: 2.5, warmSteps: 2, least: 5 };
/** Kernels alone say what longer steps take: little of it is anything else. */
const longestStepSeconds = 1;
/** A ratio beyond is none of what steps take beside their kernels. */
const largestShare = 3;

interface TrialHost {
  readonly signal?: AbortSignal;
  /** A clock in seconds. */
  now?(): number;
}

/**
 * Rates by which a training step takes as long as it does: some steps of the job, without weights,
 * are run on the device, and the median of what they take over what the kernels' rates say scales
 * these. It is what a kernel that was timed alone does not see: operands that no cache holds, and
 * the program around the kernels. As given where the device goes on beside the program, steps are
 * long, or the job reads images.
 */
export async function withTrialSteps(
  device: Device,
  job: Job,
  { rates, ...host }: { readonly rates: DeviceRates } & TrialHost,
): Promise<DeviceRates> {
  if (device.profile.overlapsCopies || job.task.sources(job).length > 0) return rates;
  const memory = { ...leanMemoryPlan, train: { pagerBytes: Infinity, keptBlocks: 0 } };
  const planned = await plannedSeconds(device, job, { rates, memory, ...host });
  const first = planned.at(0) ?? 0;
  if (first === 0 || first > longestStepSeconds) return rates;
  const taken = await takenSeconds(device, job, { memory, ...host });
  const shares = taken.map((seconds, index) => seconds / at(planned, index)).slice(trial.warmSteps);
  if (shares.length === 0) return rates;
  const share = Math.min(largestShare, Math.max(1 / largestShare, medianOf(shares)));
  return scaled(rates, share);
}

/** What rates say of each step after the first. */
async function plannedSeconds(
  { profile }: Device,
  job: Job,
  {
    rates,
    memory,
    signal,
  }: { readonly rates: DeviceRates; readonly memory: MemoryPlan; readonly signal?: AbortSignal },
): Promise<readonly number[]> {
  const work = new StageWork();
  await using run = createNullRun(job, {
    ...{ profile, memory, signal, mostSteps: trial.steps },
    onTurn: (backend) => work.record(backend),
    onPart: work.onPart,
    onTimes: work.onTimes,
  });
  await rehearseTraining(run, { job, stage: 'train', plan: job.training });
  return work.stepSeconds('train', rates, false);
}

function secondsNow(): number {
  return performance.now() / 1000;
}

/** What each step after the first takes, as many as there is time for. */
async function takenSeconds(
  device: Device,
  job: Job,
  { memory, signal, now = secondsNow }: { readonly memory: MemoryPlan } & TrialHost,
): Promise<readonly number[]> {
  const enough = new AbortController();
  const taken: number[] = [];
  let from: number | null = null;
  const begun = now();
  const run = rehearsalOn(device, job, {
    ...{ memory, mostSteps: trial.steps },
    signal: signal ? AbortSignal.any([signal, enough.signal]) : enough.signal,
    onPart: (_, part) => {
      const time = now();
      if (from !== null && part === 'step') taken.push(time - from);
      from = time;
      const isLate = time - begun > trial.seconds && taken.length >= trial.warmSteps + trial.least;
      if (isLate || taken.length === trial.steps - 1) enough.abort();
    },
  });
  try {
    await rehearseTraining(run, { job, stage: 'train', plan: job.training });
  } catch (error) {
    if (!enough.signal.aborted || signal?.aborted) throw error;
  }
  return taken;
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return at(sorted, sorted.length >> 1);
}

function scaled(rates: DeviceRates, share: number): DeviceRates {
  const times = (rate: KernelRate): KernelRate => ({
    secondsPerFlop: share * rate.secondsPerFlop,
    secondsPerByte: share * rate.secondsPerByte,
    secondsPerCall: share * rate.secondsPerCall,
    ...(rate.secondsPerFloat64Flop === undefined
      ? {}
      : { secondsPerFloat64Flop: share * rate.secondsPerFloat64Flop }),
  });
  const kernels = Object.fromEntries(
    Object.entries(rates.kernels).map(([name, rate]) => [name, times(rate)]),
  );
  return { ...rates, kernels, otherwise: times(rates.otherwise) };
}
