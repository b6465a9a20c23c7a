import { Device, type DeviceProfile, formatBytes, MemoryBudget } from '@emloc/device';
import { createNullBackend, type NullBackend } from '@emloc/device-null';
import { initialAdapter } from '@emloc/finetune';
import { deviceBytes, type LayerSource, minimumDeviceBytes } from '@emloc/weight-pager';
import { type JobEnvironment, leanMemoryPlan, type MemoryPhase, type MemoryPlan } from './environment.js';
import { PipelineError } from './errors.js';
import { emulatorSource, plannedFactorStore } from './factor-store.js';
import { heaviestJob } from './heaviest-batches.js';
import type { Job } from './job.js';
import type { StageName } from './observer.js';
import { type DeviceRates, estimateSeconds, StageWork } from './rates.js';
import { runJob } from './run-job.js';
import { StageClock, type StageReport } from './stage-clock.js';
import { runTrainStage } from './stages/train.js';

/** How a job divides a budget, or by how much it passes it. */
export type MemoryFit =
  | { readonly fits: true; readonly memory: MemoryPlan }
  | { readonly fits: false; readonly stage: StageName; readonly neededBytes: number };

/** Peaks and times of a job that has not run. */
export interface JobPlan {
  readonly fits: boolean;
  readonly budgetBytes: number;
  /** The smallest budget that every stage can work in. */
  readonly neededBytes: number;
  readonly stages: readonly StageReport[];
}

interface PlanInputs {
  readonly job: Job;
  readonly profile: DeviceProfile;
  readonly budgetBytes: number;
}

/** Decides what each stage gives to weights and to kept tensors, by running the job's heaviest batches on a null device. */
export async function fitMemory({ job, profile, budgetBytes }: PlanInputs): Promise<MemoryFit> {
  const heaviest = heaviestJob(job);
  const others = await peaksBesideWeights(heaviest, profile);
  const need = needs(job, profile, others);
  const short = need.find(({ bytes }) => bytes > budgetBytes);
  if (short) return { fits: false, stage: short.stage, neededBytes: Math.max(...need.map(({ bytes }) => bytes)) };
  const source = sourcesOf(job, profile);
  const weightsFor = (phase: MemoryPhase): number =>
    Math.min(totalBytes(source[phase], profile), budgetBytes - peakOf(others, phase));
  return {
    fits: true,
    memory: {
      emulate: { pagerBytes: weightsFor('emulate'), keptBlocks: 0 },
      correct: { pagerBytes: weightsFor('correct'), keptBlocks: 0 },
      train: await trainingMemory(heaviest, profile, { phase: 'train', pagerBytes: weightsFor('train'), budgetBytes }),
      refine: await trainingMemory(heaviest, profile, { phase: 'refine', pagerBytes: weightsFor('refine'), budgetBytes }),
    },
  };
}

/** The memory plan of a job. @throws PipelineError PIPELINE_DOES_NOT_FIT naming the stage and the least budget */
export async function requireMemory(inputs: PlanInputs): Promise<MemoryPlan> {
  const fit = await fitMemory(inputs);
  if (fit.fits) return fit.memory;
  throw new PipelineError(
    'PIPELINE_DOES_NOT_FIT',
    `stage ${fit.stage} does not fit into ${formatBytes(inputs.budgetBytes)}; this job needs at least ${formatBytes(fit.neededBytes)} ` +
      '(a smaller --batch, --max-length or --ratio needs less)',
  );
}

/** Runs the whole job on a null device with the target's profile. `rates` turn its work into seconds. */
export async function planJob(inputs: PlanInputs & { readonly rates: DeviceRates }): Promise<JobPlan> {
  const { job, profile, budgetBytes, rates } = inputs;
  const fit = await fitMemory(inputs);
  const memory = fit.fits ? fit.memory : leanMemoryPlan;
  const run = createNullRun(profile, { memory, budgetBytes: fit.fits ? budgetBytes : Number.POSITIVE_INFINITY });
  const work = new StageWork(run.backend);
  await runJob({ ...run.environment, clock: run.clock, observer: () => undefined, prefetch: job.options.prefetch, onStage: work.enter }, job);
  work.leave();
  await run.device.close();
  const stages = run.clock.reports().map((report) => ({ ...report, seconds: estimateSeconds(work.of(report.name), rates) }));
  const neededBytes = fit.fits ? needed(job, profile, await peaksBesideWeights(heaviestJob(job), profile)) : fit.neededBytes;
  return { fits: fit.fits, budgetBytes, neededBytes, stages };
}
