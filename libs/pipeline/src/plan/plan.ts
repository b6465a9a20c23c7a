import type { Device, DeviceRates } from '@emloc/device';
import { allDeviceBytes, wholeDeviceBytes, type LayerSource } from '@emloc/weight-pager';

import {
  affordableHostBytes,
  anchoredHostBytes,
  leanMemoryPlan,
  type MemoryPlan,
} from '../job/environment.js';
import type { Job } from '../job/job.js';
import type { StageName } from '../job/observer.js';
import { runJob } from '../job/run-job.js';
import type { StageReport } from '../job/stage-clock.js';
import { trainedOriginal } from '../job/storage.js';
import { fitMemory, phases, stagesOfPhase, type PlanInputs } from './fit-memory.js';
import { createNullRun } from './null-run.js';
import { fileBytes, readBytes } from './reads.js';
import { sourceOf } from './rehearse-training.js';
import { StageWork, type PartCounts } from './stage-work.js';

/** A stage that has not run. */
interface PlannedStage extends StageReport {
  /** Of the copies between host and device alone, which may go on beside the rest. */
  readonly copySeconds: number;
  /** Of reading weights from disk alone, and of locking host memory for them. */
  readonly readSeconds: number;
}

/** Peaks and times of a job that has not run. */
export interface JobPlan {
  readonly fits: boolean;
  readonly budgetBytes: number;
  /** The smallest budget that every stage can work in. */
  readonly neededBytes: number;
  readonly stages: readonly PlannedStage[];
  /** One step of training, once what is done once is; null: there is no second step. */
  readonly stepSeconds: number | null;
  /** Steps of training on an emulator that are anchors, each a pass over the original; or null. */
  readonly anchors: { readonly passes: number; readonly rows: number } | null;
}

/** What times are planned with. */
export interface TimedInputs extends PlanInputs {
  readonly rates: DeviceRates;
  /** Of reading a byte of the model's files; absent: reading takes no time. */
  readonly readSecondsPerByte?: number;
  /** Steps of a training that are run; the others are taken to be like them. Default 256. */
  readonly rehearsedSteps?: number;
}

/**
 * Runs the whole job on a null device with the target's profile. `rates` turn its work into
 * seconds.
 */
export async function planJob(inputs: TimedInputs): Promise<JobPlan> {
  const { job, profile, budgetBytes, rates, signal } = inputs;
  const fit = await fitMemory(inputs);
  const work = new StageWork();
  const memory = fit.fits ? fit.memory : leanMemoryPlan;
  await using run = createNullRun(job, {
    profile,
    memory,
    budgetBytes: fit.fits ? budgetBytes : undefined,
    prefetch: job.options.prefetch,
    signal,
    onTurn: (backend) => work.record(backend),
    mostSteps: inputs.rehearsedSteps ?? enoughSteps,
    onPart: work.onPart,
    onTimes: work.onTimes,
  });
  await runJob(run);
  const overlapsCopies = (profile.overlapsCopies ?? false) && job.options.prefetch;
  const stages = run.environment.clock.reports().map((report) => {
    const counts = partCounts(job, report.name);
    const working = work.seconds(report.name, rates, { counts, overlapsCopies });
    const copies = work.copies(report.name, rates, counts);
    const { device } = run.environment;
    const reading = readingOf(inputs, { stage: report.name, memory, device, ...copies });
    const once = work.onceSeconds(report.name, rates, overlapsCopies);
    return {
      ...report,
      seconds: overlapsCopies
        ? Math.max(once, reading.once) + Math.max(working - once, reading.again)
        : working + reading.once + reading.again,
      copySeconds: copies.seconds,
      readSeconds: reading.once + reading.again,
    };
  });
  const steps = work.stepSeconds('train', rates, overlapsCopies);
  const stepSeconds =
    steps.length === 0 ? null : steps.reduce((sum, step) => sum + step, 0) / steps.length;
  const { anchors: planned } = job.training;
  const anchors = planned ? { passes: planned.count, rows: planned.rows } : null;
  const { neededBytes } = fit;
  return { fits: fit.fits, budgetBytes, neededBytes, stages, stepSeconds, anchors };
}

/** Seconds that a stage reads weights for, and takes memory for them, at first; and then. */
function readingOf(
  { job, profile, rates, readSecondsPerByte = 0 }: TimedInputs,
  stage: {
    readonly stage: StageName;
    readonly memory: MemoryPlan;
    readonly uploadedBytes: number;
    /** By anchors, which page the original. */
    readonly anchorBytes: number;
    readonly device: Device;
  },
): { readonly once: number; readonly again: number } {
  const phase = phases.find((name) => stagesOfPhase[name].includes(stage.stage));
  if (readSecondsPerByte === 0 || phase === undefined || phase === 'front')
    return { once: 0, again: 0 };
  const source = sourceOf(job, profile, phase);
  const original = trainedOriginal(job);
  const { device, memory, uploadedBytes, anchorBytes } = stage;
  const { hostBytes } = job.options;
  const limit = Number.isFinite(hostBytes) ? hostBytes : affordableHostBytes(source);
  const host =
    phase === 'train' && job.training.anchors
      ? anchoredHostBytes({ device, memory, hostBytes }, { emulator: source, original })
      : { ofEmulator: limit, ofOriginal: 0 };
  const ofPhase = readBytes({
    uploadedBytes,
    weightBytes: allDeviceBytes(source, device),
    residentBytes: memory[phase].pagerBytes ?? 0,
    hostBytes: host.ofEmulator,
  });
  const ofAnchors = readBytes({
    uploadedBytes: anchorBytes,
    weightBytes: allDeviceBytes(original, device),
    residentBytes: memory.train.originalBytes ?? 0,
    hostBytes: host.ofOriginal,
  });
  const inFiles = fileBytes(job.whole) / allDeviceBytes(job.whole.source, device);
  const secondsOf = (when: 'once' | 'again'): number =>
    (ofPhase[when] * wholeShare(source, device) + ofAnchors[when] * wholeShare(original, device)) *
    inFiles *
    readSecondsPerByte;
  const locking = (ofPhase.kept + ofAnchors.kept) * (rates.lockSecondsPerByte ?? 0);
  return { once: secondsOf('once') + locking, again: secondsOf('again') };
}

/** How often a source's bytes its weights would take as they are in files. */
function wholeShare(source: LayerSource, device: Device): number {
  return wholeDeviceBytes(source, device) / allDeviceBytes(source, device);
}

/** Steps of a training that stand for all of them where only time is asked for. */
const enoughSteps = 256;

/** How often a stage has each of its parts; undefined: it has none. */
function partCounts(job: Job, stage: StageName): PartCounts | undefined {
  const plan = stage === 'train' ? job.training : stage === 'refine' ? job.refinement : null;
  if (!plan) return undefined;
  const { length: step } = plan.batches;
  const { sampleEvery, evalSteps } = job.options;
  const sample = stage === 'train' && sampleEvery !== null ? Math.floor(step / sampleEvery) : 0;
  const validation = evalSteps === null ? 0 : Math.floor((step - 1) / evalSteps);
  const change = stage === 'train' ? Math.max(0, (job.levels?.length ?? 1) - 1) : 0;
  const anchor = plan.anchors?.count ?? 0;
  return { step: step - anchor, anchor, validation, sample, change };
}
