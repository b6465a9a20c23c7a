import type { Job } from '../job/job.js';
import { parseLevels, stepsOf as stepsOfLevels } from '../options/levels.js';
import { patternRatios } from '../options/method.js';
import { equalLevels } from './equal-quality.js';
import { planJob, residentBytes, type PlanInputs, type TimedInputs } from './plan.js';
import { waysOf, type Way } from './ways.js';

/** Ways to train a job to about the same quality. */
export interface EqualWays {
  readonly ways: readonly Way[];
  /** Steps of plain LoRA on the original that say what quality is meant. */
  readonly plainSteps: number;
  /** Levels of the emulator's way, also where they do not fit. null: there can be none. */
  readonly levels: string | null;
  /** Whether a step on the original waits for copies, so that larger batches cost less there. */
  readonly hasLargeBatches: boolean;
}

/**
 * The ways to the quality of as many steps on the original as the job trains. null: the job makes
 * pictures, for which no rule was measured, or has levels of its own.
 */
export async function planWays(inputs: TimedInputs): Promise<EqualWays | null> {
  const { job, profile } = inputs;
  if (!job.variant || job.levels !== null) return null;
  const plain = job.variant({ method: 'paged', ratios: [], levels: null });
  const plainSteps = plain.training.batches.length;
  const plan = await planJob({ ...inputs, job: plain });
  const emulator = await planEmulator(inputs, job.variant, plainSteps);
  return {
    ways: waysOf({
      emulator,
      original: { plan, levels: null, steps: plainSteps },
      residentBytes: await residentBytes(plain, profile),
    }),
    plainSteps,
    levels: emulator?.levels ?? null,
    hasLargeBatches: emulator?.hasLargeBatches ?? false,
  };
}

/** The faster of the levels that fit; the job's own batches where neither does. */
async function planEmulator(
  inputs: TimedInputs,
  variant: NonNullable<Job['variant']>,
  plainSteps: number,
) {
  const { options, trainRows } = inputs.job;
  const candidates = equalLevels(plainSteps, { batch: options.batch, rows: trainRows.count });
  let best = null;
  for (const { levels, hasLargeBatches } of candidates) {
    const job = variant(emulatorOptions(options, levels));
    const plan = await planJob({ ...inputs, job });
    const seconds = plan.stages.reduce((sum, stage) => sum + stage.seconds, 0);
    const steps = stepsOfLevels(parseLevels('levels', levels));
    const isBetter = best === null || (plan.fits && (!best.plan.fits || seconds < best.seconds));
    if (isBetter) best = { plan, levels, hasLargeBatches, steps, seconds };
  }
  return best;
}

/** Options of a job whose emulators have these levels. */
export function emulatorOptions(options: PlanInputs['job']['options'], levels: string) {
  return {
    ...({ method: 'emulator', levels, ratios: patternRatios(options) } as const),
    ...{ steps: null, epochs: null, refineSteps: null },
  };
}
