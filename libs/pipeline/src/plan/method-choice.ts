import { PipelineError } from '../errors.js';
import type { Job } from '../job/job.js';
import { patternRatios, type Method } from '../options/method.js';
import type { TuneOptions } from '../options/resolve.js';
import { meanBatchRows } from './mean-batch-rows.js';
import type { EqualWays } from './plan-ways.js';
import { fastestWay, wordsOf, type Way } from './ways.js';

/** What a plan has decided a job to be, as it is kept with the job and told with its adapter. */
export interface MethodChoice {
  readonly asked: 'auto' | 'emulator';
  readonly method: Method;
  /** null: all steps are on the original. */
  readonly levels: string | null;
  readonly why: string;
  readonly inputs: {
    /** The quality that is meant: that of so many steps of plain LoRA on the original. */
    readonly plainSteps: number;
    /** Rows of an average micro-batch. */
    readonly batch: number;
    /** Peak of every level. */
    readonly learningRate: number;
    readonly budgetBytes: number;
    readonly ways: readonly Way[];
  };
}

/**
 * The choice for what was asked, by the fastest way to equal quality.
 * @throws PipelineError PIPELINE_DOES_NOT_FIT where no way fits
 */
export function choiceOf(
  asked: MethodChoice['asked'],
  { ways, plainSteps, levels, hasLargeBatches }: EqualWays,
  { job, budgetBytes }: { readonly job: Job; readonly budgetBytes: number },
): MethodChoice {
  const fastest = fastestWay(ways);
  const method = asked === 'emulator' ? 'emulator' : fastest?.name;
  if (method === undefined || (method === 'emulator' && levels === null))
    throw new PipelineError(
      'PIPELINE_DOES_NOT_FIT',
      `method ${asked}: no way fits: ${wordsOf(ways)}`,
    );
  const batches = hasLargeBatches
    ? 'a step on the original waits for copies, so that the last level has four times the rows'
    : 'larger batches in the last level would take longer, or do not fit';
  return {
    asked,
    method,
    levels: method === 'emulator' ? levels : null,
    why: `${wordsOf(ways)}${method === 'emulator' ? `; ${batches}` : ''}`,
    inputs: {
      ...{ plainSteps, budgetBytes, ways },
      batch: meanBatchRows(job),
      learningRate: job.options.learningRate,
    },
  };
}

/** What the owner of a job is told of it. */
export function choiceNotice({ asked, method, levels, why }: MethodChoice): string {
  const what = levels === null ? method : `${method}, levels ${levels}`;
  return `method ${asked}: ${what} (${why})`;
}

/** Options that a plan has decided. */
export function withChoice<
  O extends Pick<TuneOptions, 'method' | 'ratios' | 'levels' | 'steps' | 'epochs'>,
>(options: O, { method, levels }: Pick<MethodChoice, 'method' | 'levels'>): O {
  if (method !== 'emulator') return { ...options, method, ratios: [], levels: null };
  return { ...options, method, levels, ratios: patternRatios(options), steps: null, epochs: null };
}

/** Whether a value out of a file or message is a choice. */
export function isMethodChoice(value: unknown): value is MethodChoice {
  if (typeof value !== 'object' || value === null) return false;
  const { asked, method, levels, why, inputs } = value as Record<string, unknown>;
  return (
    ['auto', 'emulator'].includes(String(asked)) &&
    ['emulator', 'paged', 'resident'].includes(String(method)) &&
    (levels === null || typeof levels === 'string') &&
    typeof why === 'string' &&
    typeof inputs === 'object' &&
    inputs !== null
  );
}
