import type { Job, JobOptions } from '../job/job.js';
import { parseLevels, stepsOf } from '../options/levels.js';
import { patternRatios, withoutAnchors } from '../options/method.js';
import { equalLevels, type EqualLevels } from './equal-quality.js';
import { residentBytes } from './fit-memory.js';
import { meanBatchRows } from './mean-batch-rows.js';
import { planJob, type JobPlan, type TimedInputs } from './plan.js';
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
  const plain = job.variant({ method: 'paged', ratios: [], levels: null, ...withoutAnchors });
  const plainSteps = plain.training.batches.length;
  const plan = await planJob({ ...inputs, job: plain });
  const emulator = await planEmulator(inputs, job.variant, plainSteps);
  const levels = typeof emulator === 'string' ? null : emulator;
  return {
    ways: waysOf({
      emulator,
      original: { plan, levels: null, steps: plainSteps },
      residentBytes: await residentBytes(plain, profile),
    }),
    plainSteps,
    levels: levels?.levels ?? null,
    hasLargeBatches: levels?.hasLargeBatches ?? false,
  };
}

interface ChosenLevels {
  readonly plan: JobPlan;
  readonly levels: string;
  readonly hasLargeBatches: boolean;
  readonly steps: number;
}

/** The emulator's way, or why there is none. */
async function planEmulator(
  inputs: TimedInputs,
  variant: NonNullable<Job['variant']>,
  plainSteps: number,
): Promise<ChosenLevels | string> {
  const { options, trainRows } = inputs.job;
  if (options.useDora) return 'DoRA is trained on the original alone';
  const planned = (levels: string, rehearsedSteps?: number): Promise<JobPlan> =>
    planJob({ ...inputs, rehearsedSteps, job: variant(emulatorOptions(options, levels)) });
  const all = equalLevels(plainSteps, { batch: meanBatchRows(inputs.job), rows: trainRows.count });
  const chosen = await chooseLevels(all, (levels) => planned(levels, comparedSteps));
  if (!chosen) return 'its levels would have more steps than a job may have';
  const { levels } = chosen;
  const steps = stepsOf(parseLevels('levels', levels));
  return { ...chosen, steps, plan: await planned(levels) };
}

/** Steps of each training that are run to compare levels. */
const comparedSteps = 48;

/** The pair of emulators first, by the job's batches; then the batches on the original. */
async function chooseLevels(
  all: readonly EqualLevels[],
  planned: (levels: string) => Promise<JobPlan>,
): Promise<{ readonly levels: string; readonly hasLargeBatches: boolean } | null> {
  const pairs: (EqualLevels & { readonly plan: JobPlan })[] = [];
  for (const each of all) pairs.push({ ...each, plan: await planned(each.usual) });
  const pair = bestLevels(pairs, worthOfSmaller);
  if (!pair) return null;
  const usual = { levels: pair.usual, hasLargeBatches: false, plan: pair.plan };
  if (pair.large === null) return usual;
  const large = { levels: pair.large, hasLargeBatches: true, plan: await planned(pair.large) };
  return bestLevels([usual, large]);
}

/**
 * Of the time of a job, what smaller emulators must save: that they come to the same quality was
 * measured on models that are easy to emulate.
 */
const worthOfSmaller = 0.1;

/**
 * The fastest of levels that fit, as far as it saves that share of the time of those before; the
 * first where none fits.
 */
export function bestLevels<L extends { readonly plan: JobPlan }>(
  planned: readonly L[],
  leastSaving = 0,
): L | null {
  const secondsOf = ({ plan: { stages } }: L): number =>
    stages.reduce((sum, { seconds }) => sum + seconds, 0);
  const isBetter = (each: L, best: L): boolean =>
    secondsOf(each) < secondsOf(best) * (1 - leastSaving);
  const fitting = planned.filter(({ plan }) => plan.fits);
  const best = fitting.reduce<L | null>(
    (least, each) => (least && !isBetter(each, least) ? least : each),
    null,
  );
  return best ?? planned.at(0) ?? null;
}

/** Options of a job whose emulators have these levels. */
function emulatorOptions(options: JobOptions, levels: string) {
  return {
    ...({ method: 'emulator', levels, ratios: patternRatios(options) } as const),
    ...{ steps: null, epochs: null, refineSteps: null, ...withoutAnchors },
  };
}
