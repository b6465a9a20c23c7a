import type { DeviceTarget } from '@emloc/device';

import type { PrepareHost } from '../job/job.js';
import { prepareJob } from '../job/prepare-job.js';
import { isUndecided } from '../options/method.js';
import type { TuneOptions } from '../options/resolve.js';
import { planChoice, timedInputs, undecidedBase } from './decide-method.js';
import { choiceOf, withChoice, type MethodChoice } from './method-choice.js';
import { planWays } from './plan-ways.js';
import { planJob, type JobPlan, type TimedInputs } from './plan.js';

/** How a job is prepared for a plan, and who hears of its model. */
type PlanHost = PrepareHost &
  /** Reading takes what it takes just now where nothing is said. */
  Pick<TimedInputs, 'readSecondsPerByte' | 'rehearsedSteps'> & {
    readonly onNotice?: (message: string) => void;
  };

/** A plan, and what `auto` would decide; the job's own decision where its options leave it open. */
interface PlannedTune {
  readonly plan: JobPlan;
  /** null: the job has levels of its own, or makes pictures. */
  readonly auto: MethodChoice | null;
  /** What was decided; null: nothing was left to decide. */
  readonly choice: MethodChoice | null;
}

/**
 * Peaks and times of a job on a device with the target's profile. The device is opened only to see
 * how fast it is. What a plan has to decide first is decided.
 */
export async function planTune(
  options: TuneOptions,
  target: DeviceTarget,
  host: PlanHost = {},
): Promise<Omit<PlannedTune, 'auto'>> {
  return await withPlanned(options, target, host, async (inputs) => {
    if (!isUndecided(options)) return { plan: await planJob(inputs), choice: null };
    const choice = await planChoice(options, inputs);
    return { plan: await planJob(chosen(inputs, choice, options)), choice };
  });
}

/** As `planTune`, and what the other ways to the same quality would take. */
export async function planTuneWays(
  options: TuneOptions,
  target: DeviceTarget,
  host: PlanHost = {},
): Promise<PlannedTune> {
  return await withPlanned(options, target, host, async (inputs) => {
    if (isUndecided(options)) {
      const choice = await planChoice(options, inputs);
      const auto = choice.asked === 'auto' ? choice : await planAuto(inputs);
      return { plan: await planJob(chosen(inputs, choice, options)), auto, choice };
    }
    return { plan: await planJob(inputs), auto: await planAuto(inputs), choice: null };
  });
}

/** null: no way fits, or no rule says what equals what. */
async function planAuto(inputs: TimedInputs): Promise<MethodChoice | null> {
  const ways = await planWays(inputs);
  const isAny = ways?.ways.some(({ fits }) => fits) ?? false;
  const { budgetBytes, job } = inputs;
  return ways && isAny ? choiceOf('auto', ways, { job, budgetBytes }) : null;
}

/** What was planned, of the job that it has come to. */
function chosen(
  inputs: TimedInputs,
  choice: MethodChoice,
  { anchorSteps, anchorRows }: TuneOptions,
): TimedInputs {
  const { job } = inputs;
  const options = { ...job.options, anchorSteps, anchorRows };
  return { ...inputs, job: job.variant?.(withChoice(options, choice)) ?? job };
}

async function withPlanned<T>(
  options: TuneOptions,
  target: DeviceTarget,
  { onNotice, readSecondsPerByte, rehearsedSteps, ...host }: PlanHost,
  plan: (inputs: TimedInputs) => Promise<T>,
): Promise<T> {
  const prepared = isUndecided(options) ? undecidedBase(options) : options;
  await using job = await prepareJob(prepared, host);
  for (const notice of job.model.notices) onNotice?.(notice);
  const inputs = await timedInputs(job, target, host.signal);
  return await plan({
    ...inputs,
    rehearsedSteps,
    readSecondsPerByte: readSecondsPerByte ?? inputs.readSecondsPerByte,
  });
}
