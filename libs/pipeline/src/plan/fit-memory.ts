import { required } from '@emloc/checked';
import { formatBytes, type DeviceProfile } from '@emloc/device';
import { adaptedLinears, blocksBeforeLoss } from '@emloc/finetune';
import { allDeviceBytes, minimumDeviceBytes, type LayerSource } from '@emloc/weight-pager';

import { PipelineError } from '../errors.js';
import {
  leanMemoryPlan,
  type MemoryPhase,
  type MemoryPlan,
  type StageMemory,
} from '../job/environment.js';
import type { Job } from '../job/job.js';
import type { StageName } from '../job/observer.js';
import { runJob } from '../job/run-job.js';
import { isHeldOriginal, trainedOriginal } from '../job/storage.js';
import { heaviestJob } from './heaviest-batches.js';
import { createNullRun } from './null-run.js';
import { rehearseTraining, sourceOf } from './rehearse-training.js';

/** How a job divides a budget, or by how much it passes it. */
export type MemoryFit =
  | { readonly fits: true; readonly neededBytes: number; readonly memory: MemoryPlan }
  | { readonly fits: false; readonly neededBytes: number; readonly phase: MemoryPhase };

export interface PlanInputs {
  readonly job: Job;
  readonly profile: DeviceProfile;
  readonly budgetBytes: number;
  /** Ends planning with its reason. */
  readonly signal?: AbortSignal;
}

export const stagesOfPhase: Readonly<Record<MemoryPhase, readonly StageName[]>> = Object.freeze({
  front: ['front'],
  emulate: ['calibrate', 'emulate'],
  train: ['train'],
  correct: ['correct'],
  refine: ['refine'],
});

export const phases = Object.keys(stagesOfPhase) as MemoryPhase[];

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
  return leastOf(tightestOf(await phaseNeeds(heaviestJob(job, profile), profile), leastOf));
}

/**
 * Decides what each phase gives to weights and to kept tensors, by running the job's heaviest
 * batches on a null device: weights get what nothing else needs, and once all of them stay, blocks
 * keep their tensors for the backward.
 */
export async function fitMemory({
  job,
  profile,
  budgetBytes,
  signal,
}: PlanInputs): Promise<MemoryFit> {
  const heaviest = heaviestJob(job, profile);
  const needs = await phaseNeeds(heaviest, profile, signal);
  const leastOf = leastOfJob(job);
  const tightest = tightestOf(needs, leastOf);
  const neededBytes = leastOf(tightest);
  if (neededBytes > budgetBytes) return { fits: false, neededBytes, phase: tightest.phase };
  const memory = { ...leanMemoryPlan };
  for (const need of needs) {
    signal?.throwIfAborted();
    memory[need.phase] = await divide(heaviest, { profile, need, budgetBytes });
  }
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

/** The least budget of a job in which all weights of every phase stay on the device. */
export async function residentBytes(job: Job, profile: DeviceProfile): Promise<number> {
  const needs = await phaseNeeds(heaviestJob(job, profile), profile);
  return Math.max(...needs.map(residentIn));
}

function residentIn({ allWeightBytes, besideWeightBytes }: PhaseNeeds): number {
  return allWeightBytes + besideWeightBytes;
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

async function phaseNeeds(
  job: Job,
  profile: DeviceProfile,
  signal?: AbortSignal,
): Promise<readonly PhaseNeeds[]> {
  await using run = createNullRun(job, { profile, exclude: ['weights'], signal });
  const { device } = run.environment;
  await runJob(run);
  const reports = run.environment.clock.reports();
  return phases.flatMap((phase) => {
    const peaks = reports
      .filter(({ name }) => stagesOfPhase[phase].includes(name))
      .map(({ peakDeviceBytes }) => peakDeviceBytes);
    if (peaks.length === 0) return [];
    const sources = phase === 'front' ? job.task.sources(job) : [sourceOf(job, profile, phase)];
    const isAnchored = phase === 'train' && job.training.anchors !== undefined;
    // The original has its slots all the time.
    const anchorBytes = isAnchored ? minimumDeviceBytes(trainedOriginal(job), device) : 0;
    const least = [...sources, ...scoredSources(job, phase)].map((source) =>
      minimumDeviceBytes(source, device),
    );
    const leastWeightBytes = Math.max(...least);
    return [
      {
        phase,
        allWeightBytes: Math.max(
          leastWeightBytes,
          ...sources.map((source) => allDeviceBytes(source, device)),
        ),
        leastWeightBytes,
        besideWeightBytes: Math.max(...peaks) + anchorBytes,
      },
    ];
  });
}

/** What a phase pages once, at its end, to score what was trained on in other numbers. */
function scoredSources(job: Job, phase: MemoryPhase): readonly LayerSource[] {
  const isScored =
    (phase === 'train' && isHeldOriginal(job, job.emulated)) ||
    (phase === 'refine' && isHeldOriginal(job, []));
  return isScored ? [job.model.source] : [];
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
  const memory = { pagerBytes, keptBlocks: await largest(visited, fits) };
  if (phase !== 'train' || !job.training.anchors) return memory;
  return { ...memory, originalBytes: await originalBytes(job, { profile, memory, budgetBytes }) };
}

/** What is left for the original's weights beside a resident emulator and its kept tensors. */
async function originalBytes(
  job: Job,
  inputs: { profile: DeviceProfile; memory: StageMemory; budgetBytes: number },
): Promise<number> {
  const { profile, memory, budgetBytes } = inputs;
  const source = trainedOriginal(job);
  await using run = createNullRun(job, { profile });
  const { device } = run.environment;
  const least = minimumDeviceBytes(source, device);
  // The peak has that least.
  const left = budgetBytes - (await trainingPeak(job, profile, { stage: 'train', memory }));
  return Math.min(allDeviceBytes(source, device), least + Math.max(0, left));
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

/**
 * With anchors the weights are counted as what both pagers may take: which pages of the original
 * are there at the peak depends on its share.
 */
async function trainingPeak(
  job: Job,
  profile: DeviceProfile,
  { stage, memory }: { stage: 'train' | 'refine'; memory: StageMemory },
): Promise<number> {
  const plan = stage === 'train' ? job.training : job.refinement;
  if (!plan) return 0;
  const isAnchored = plan.anchors !== undefined;
  await using run = createNullRun(job, {
    ...{ profile, memory: { ...leanMemoryPlan, [stage]: memory } },
    exclude: isAnchored ? ['weights'] : [],
  });
  await rehearseTraining(run, { job, stage, plan });
  if (!isAnchored) return run.budget.peakBytes;
  const { clock, device } = run.environment;
  const [besideWeights] = clock.reports().filter(({ name }) => name === stage);
  const original = minimumDeviceBytes(trainedOriginal(job), device);
  return required(besideWeights, stage).peakDeviceBytes + (memory.pagerBytes ?? 0) + original;
}
