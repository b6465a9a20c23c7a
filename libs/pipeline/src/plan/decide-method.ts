import type { DeviceTarget } from '@emloc/device';

import type { Job, PrepareHost } from '../job/job.js';
import { prepareJob } from '../job/prepare-job.js';
import { invalidOption } from '../options/checks.js';
import { isUndecided, patternRatios, withoutAnchors } from '../options/method.js';
import type { TuneOptions } from '../options/resolve.js';
import { budgetBytesOf } from './budget.js';
import { ratesOf } from './job-rates.js';
import { choiceOf, withChoice, type MethodChoice } from './method-choice.js';
import { planWays } from './plan-ways.js';
import type { TimedInputs } from './plan.js';

/** Options of which nothing is left to decide, and what decided them. */
interface DecidedMethod {
  readonly decided: TuneOptions;
  /** null: nothing was left to decide. */
  readonly choice: MethodChoice | null;
}

/**
 * Decides what a job trains on, where its options leave that to a plan: as it was recorded, or once
 * by the times of the ways on this device.
 * @param recorded of the same job; null: it has none
 * @throws the typed errors of the job; PipelineError PIPELINE_INVALID_OPTION for a model that makes
 * pictures, PIPELINE_DOES_NOT_FIT where no way fits
 */
export async function decideMethod(
  options: TuneOptions,
  recorded: MethodChoice | null,
  { target, ...host }: PrepareHost & { readonly target: DeviceTarget },
): Promise<DecidedMethod> {
  if (!isUndecided(options)) return { decided: options, choice: null };
  if (recorded?.asked === options.method)
    return { decided: withChoice(options, recorded), choice: recorded };
  await using job = await prepareJob(undecidedBase(options), host);
  const choice = await planChoice(options, await timedInputs(job, target, host.signal));
  return { decided: withChoice(options, choice), choice };
}

/** The rows of a job whose method is undecided: what it trains on is planned in its variants. */
export function undecidedBase(options: TuneOptions): TuneOptions {
  return {
    ...options,
    ...({ method: 'paged', ratios: patternRatios(options), levels: null } as const),
    ...withoutAnchors,
  };
}

/** What a plan of a job is made with. */
export async function timedInputs(
  job: Job,
  target: DeviceTarget,
  signal?: AbortSignal,
): Promise<TimedInputs> {
  const { profile } = target;
  const budgetBytes = await budgetBytesOf(job, profile);
  return { job, profile, budgetBytes, signal, ...(await ratesOf(job, target, signal)) };
}

/** @param inputs of the job that `undecidedBase` describes */
export async function planChoice(
  { method }: Pick<TuneOptions, 'method'>,
  inputs: TimedInputs,
): Promise<MethodChoice> {
  const ways = await planWays(inputs);
  if (!ways)
    throw invalidOption(
      'method',
      method,
      'emulator with option ratios, steps or levels, paged or resident, since what equals plain steps was measured on texts alone,',
    );
  const asked = method === 'auto' ? 'auto' : 'emulator';
  return choiceOf(asked, ways, inputs);
}
