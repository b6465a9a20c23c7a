import { formatBytes, type Device, type DeviceProfile, type DeviceRates } from '@emloc/device';
import { adaptedLinears, blocksBeforeLoss } from '@emloc/finetune';
import { allDeviceBytes, minimumDeviceBytes, type LayerSource } from '@emloc/weight-pager';

import { PipelineError } from '../errors.js';
import {
  affordableHostBytes,
  leanMemoryPlan,
  type MemoryPhase,
  type MemoryPlan,
  type StageMemory,
} from '../job/environment.js';
import { emulatorSource, plannedFactorStore } from '../job/factor-store.js';
import { startingAdapter, type Job } from '../job/job.js';
import type { StageName } from '../job/observer.js';
import { runJob } from '../job/run-job.js';
import type { StageReport } from '../job/stage-clock.js';
import { runTrainStage } from '../stages/train.js';
import { heaviestJob } from './heaviest-batches.js';
import { createNullRun } from './null-run.js';
import { fileBytes, readBytes } from './reads.js';
import { StageWork, type PartCounts } from './stage-work.js';

/** How a job divides a budget, or by how much it passes it. */
export type MemoryFit =
  | { readonly fits: true; readonly neededBytes: number; readonly memory: MemoryPlan }
  | { readonly fits: false; readonly neededBytes: number; readonly phase: MemoryPhase };

/** A stage that has not run. */
interface PlannedStage extends StageReport {
  /** Of the copies between host and device alone, which may go on beside the rest. */
  readonly copySeconds: number;
  /** Of reading weights from disk alone. */
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
}

export interface PlanInputs {
  readonly job: Job;
  readonly profile: DeviceProfile;
  readonly budgetBytes: number;
}

/** What times are planned with. */
export interface TimedInputs extends PlanInputs {
  readonly rates: DeviceRates;
  /** Of reading a byte of the model's files; absent: reading takes no time. */
  readonly readSecondsPerByte?: number;
  /** Steps of a training that are run; the others are taken to be like them. Default 256. */
  readonly rehearsedSteps?: number;
}

const stagesOfPhase: Readonly<Record<MemoryPhase, readonly StageName[]>> = Object.freeze({
  front: ['front'],
  emulate: ['calibrate', 'emulate'],
  train: ['train'],
  correct: ['correct'],
  refine: ['refine'],
});

const phases = Object.keys(stagesOfPhase) as MemoryPhase[];

/**
 * What one phase takes: weights of its model in all and at least, and the peak of everything else.
 */
interface PhaseNeeds {
  readonly phase: MemoryPhase;
  readonly allWeightBytes: number;
  readonly leastWeightBytes: number;
  readonly besideWeightBytes: number;
}

/** The smallest budget that every stage of a job can work in. */
export async function leastBudgetBytes(job: Job, profile: DeviceProfile): Promise<number> {
  const leastOf = leastOfJob(job);
  return leastOf(tightestOf(await phaseNeeds(heaviestJob(job), profile), leastOf));
}

/**
 * Decides what each phase gives to weights and to kept tensors, by running the job's heaviest
 * batches on a null device: weights get what nothing else needs, and once all of them stay, blocks
 * keep their tensors for the backward.
 */
export async function fitMemory({ job, profile, budgetBytes }: PlanInputs): Promise<MemoryFit> {
  const heaviest = heaviestJob(job);
  const needs = await phaseNeeds(heaviest, profile);
  const leastOf = leastOfJob(job);
  const tightest = tightestOf(needs, leastOf);
  const neededBytes = leastOf(tightest);
  if (neededBytes > budgetBytes) return { fits: false, neededBytes, phase: tightest.phase };
  const memory = { ...leanMemoryPlan };
  for (const need of needs)
    memory[need.phase] = await divide(heaviest, { profile, need, budgetBytes });
  return { fits: true, neededBytes, memory };
}

/**
 * The memory plan of a job.
 * @throws PipelineError PIPELINE_DOES_NOT_FIT naming the stage and the least budget
 */
export async function requireMemory(inputs: PlanInputs): Promise<MemoryPlan> {
  const fit = await fitMemory(inputs);
  if (fit.fits) return fit.memory;
  if (inputs.job.options.method === 'resident') throw staysNot(inputs.budgetBytes, fit.neededBytes);
  throw doesNotFit(stagesOfPhase[fit.phase].at(-1) ?? fit.phase, {
    budgetBytes: inputs.budgetBytes,
    neededBytes: fit.neededBytes,
  });
}

/** The error of a job whose weights are all to stay in a budget that has no room for them. */
function staysNot(budgetBytes: number, neededBytes: number): PipelineError {
  return new PipelineError(
    'PIPELINE_DOES_NOT_FIT',
    `method resident: all weights and what a step takes beside them need ${formatBytes(neededBytes)} ` +
      `(${neededBytes} bytes), the budget is ${formatBytes(budgetBytes)}; method paged needs less`,
  );
}

/** The error of a stage that a budget has no room for. */
export function doesNotFit(
  stage: string,
  { budgetBytes, neededBytes }: { budgetBytes: number; neededBytes: number },
): PipelineError {
  return new PipelineError(
    'PIPELINE_DOES_NOT_FIT',
    `stage ${stage} does not fit into ${formatBytes(budgetBytes)}: this job needs at least ` +
      `${formatBytes(neededBytes)} (${neededBytes} bytes); a smaller batch, max-length, rank or ratio needs less`,
  );
}

/**
 * Runs the whole job on a null device with the target's profile. `rates` turn its work into
 * seconds.
 */
export async function planJob(inputs: TimedInputs): Promise<JobPlan> {
  const { job, profile, budgetBytes, rates } = inputs;
  const fit = await fitMemory(inputs);
  const work = new StageWork();
  const memory = fit.fits ? fit.memory : leanMemoryPlan;
  await using run = createNullRun(job, {
    profile,
    memory,
    budgetBytes: fit.fits ? budgetBytes : undefined,
    prefetch: job.options.prefetch,
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
    const readSeconds = readingOf(inputs, { stage: report.name, memory, device, ...copies });
    return {
      ...report,
      seconds: overlapsCopies ? Math.max(working, readSeconds) : working + readSeconds,
      copySeconds: copies.seconds,
      readSeconds,
    };
  });
  const stepSeconds = work.stepSeconds('train', rates, overlapsCopies);
  return { fits: fit.fits, budgetBytes, neededBytes: fit.neededBytes, stages, stepSeconds };
}

/** Seconds that a stage reads weights for. */
function readingOf(
  { job, profile, readSecondsPerByte = 0 }: TimedInputs,
  stage: {
    readonly stage: StageName;
    readonly memory: MemoryPlan;
    readonly uploadedBytes: number;
    readonly device: Device;
  },
): number {
  const phase = phases.find((name) => stagesOfPhase[name].includes(stage.stage));
  if (readSecondsPerByte === 0 || phase === undefined || phase === 'front') return 0;
  const source = sourceOf(job, profile, phase);
  const weightBytes = allDeviceBytes(source, stage.device);
  const { hostBytes } = job.options;
  const bytes = readBytes({
    uploadedBytes: stage.uploadedBytes,
    weightBytes,
    residentBytes: stage.memory[phase].pagerBytes ?? 0,
    hostBytes: Number.isFinite(hostBytes) ? hostBytes : affordableHostBytes(source),
  });
  const inFiles = fileBytes(job.whole) / allDeviceBytes(job.whole.source, stage.device);
  return bytes * inFiles * readSecondsPerByte;
}

/** The least budget of a job in which all weights of every phase stay on the device. */
export async function residentBytes(job: Job, profile: DeviceProfile): Promise<number> {
  const needs = await phaseNeeds(heaviestJob(job), profile);
  return Math.max(...needs.map(residentIn));
}

function residentIn({ allWeightBytes, besideWeightBytes }: PhaseNeeds): number {
  return allWeightBytes + besideWeightBytes;
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
  return { step, validation, sample, change };
}

/** The least that a phase of the job can work in. */
type LeastOf = (need: PhaseNeeds) => number;

function leastOfJob({ options }: Job): LeastOf {
  return options.method === 'resident' ? residentIn : leastBytes;
}

function tightestOf(needs: readonly PhaseNeeds[], leastOf: LeastOf): PhaseNeeds {
  return needs.reduce((most, need) => (leastOf(need) > leastOf(most) ? need : most));
}

function leastBytes({ besideWeightBytes, leastWeightBytes }: PhaseNeeds): number {
  return besideWeightBytes + leastWeightBytes;
}

async function phaseNeeds(job: Job, profile: DeviceProfile): Promise<readonly PhaseNeeds[]> {
  await using run = createNullRun(job, { profile, exclude: ['weights'] });
  const { device } = run.environment;
  await runJob(run);
  const reports = run.environment.clock.reports();
  return phases.flatMap((phase) => {
    const peaks = reports
      .filter(({ name }) => stagesOfPhase[phase].includes(name))
      .map(({ peakDeviceBytes }) => peakDeviceBytes);
    if (peaks.length === 0) return [];
    const sources = phase === 'front' ? job.task.sources(job) : [sourceOf(job, profile, phase)];
    return [
      {
        phase,
        allWeightBytes: Math.max(...sources.map((source) => allDeviceBytes(source, device))),
        leastWeightBytes: Math.max(...sources.map((source) => minimumDeviceBytes(source, device))),
        besideWeightBytes: Math.max(...peaks),
      },
    ];
  });
}

/** The model that a phase pages: training's is the emulator, if there is one. */
function sourceOf(
  job: Job,
  profile: DeviceProfile,
  phase: Exclude<MemoryPhase, 'front'>,
): LayerSource {
  return phase === 'train'
    ? emulatorSource(job.model, job.emulated, { store: plannedFactorStore, profile })
    : job.model.source;
}

async function divide(
  job: Job,
  inputs: { profile: DeviceProfile; need: PhaseNeeds; budgetBytes: number },
): Promise<StageMemory> {
  const {
    profile,
    need: { phase, allWeightBytes, besideWeightBytes },
    budgetBytes,
  } = inputs;
  const pagerBytes = Math.min(allWeightBytes, budgetBytes - besideWeightBytes);
  if ((phase !== 'train' && phase !== 'refine') || pagerBytes < allWeightBytes)
    return { pagerBytes, keptBlocks: 0 };
  const fits = async (keptBlocks: number): Promise<boolean> =>
    (await trainingPeak(job, profile, { stage: phase, memory: { pagerBytes, keptBlocks } })) <=
    budgetBytes;
  const { layout } = job.model;
  const visited = blocksBeforeLoss(layout, adaptedLinears(layout, job.options.targets).values());
  return { pagerBytes, keptBlocks: await largest(visited, fits) };
}

/**
 * The largest whole number up to `limit` for which a property holds that holds for 0 and is lost
 * once.
 */
async function largest(limit: number, holds: (value: number) => Promise<boolean>): Promise<number> {
  if (await holds(limit)) return limit;
  let low = 0;
  let high = limit;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (await holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}

async function trainingPeak(
  job: Job,
  profile: DeviceProfile,
  { stage, memory }: { stage: 'train' | 'refine'; memory: StageMemory },
): Promise<number> {
  const plan = stage === 'train' ? job.training : job.refinement;
  if (!plan) return 0;
  await using run = createNullRun(job, { profile, memory: { ...leanMemoryPlan, [stage]: memory } });
  await runTrainStage(run, {
    stage,
    levels: [
      {
        source: sourceOf(job, profile, stage),
        emulated: stage === 'train' ? job.emulated : [],
        steps: plan.batches.length,
      },
    ],
    adapter: startingAdapter(job, { reads: 'none' }),
    plan,
    evaluateBefore: false,
  });
  return run.budget.peakBytes;
}
