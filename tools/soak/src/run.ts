import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { at } from '@emloc/checked';
import { isEmlocError, type EmlocClient, type Job, type JobEvent } from '@emloc/sdk';

import { untilReady, type Bed } from './bed/bed.js';
import { inject, type AppliedFault } from './bed/inject.js';
import {
  eventProblems,
  failureProblems,
  layerProblems,
  processProblems,
} from './checks/job-checks.js';
import { watchLayerResults } from './checks/layer-results.js';
import { leftInBuckets, leftInScratch } from './checks/leftovers.js';
import type { RoundPlan } from './plan/rounds.js';
import { differences, digestsIn, digestsOf, jobOf, type Reference } from './reference.js';

/** An event of a job, and when a watcher saw it. */
interface SeenEvent {
  readonly afterMs: number;
  readonly event: JobEvent;
}

/** What came of a round. */
export interface RoundOutcome {
  readonly plan: RoundPlan;
  /** `identical`, `cancelled`, or the reason of a failure. */
  readonly end: string;
  readonly faults: readonly AppliedFault[];
  readonly seconds: number;
  /** How long the coordinator took to accept the job. */
  readonly acceptedMs: number;
  /** Stage calls that were made again. */
  readonly retries: number;
  /** From the end of each fault to the next that the job's watcher saw. */
  readonly recoverySeconds: readonly number[];
  /** What was left of the job when it was deleted, among the problems too. */
  readonly leftovers: readonly string[];
  /** Empty: everything is as it has to be. */
  readonly problems: readonly string[];
  readonly events: readonly SeenEvent[];
}

export interface RoundOptions {
  /** What the job takes when nothing happens. */
  readonly undisturbedMs: number;
  /** Null: the job cannot succeed. */
  readonly reference: Reference | null;
  /** Codes of failures. */
  readonly documented: ReadonlySet<string>;
  /** What was in the folders of scratch space before the first job. */
  readonly scratchBefore: readonly string[];
  /** How soon a job must be accepted beside a hostile tenant. */
  readonly acceptedWithinMs: number;
}

const deadlineMs = 300_000;
/** How a request to cancel may be answered. */
const refusals: readonly string[] = ['FAILED_PRECONDITION', 'UNAVAILABLE', 'DEADLINE_EXCEEDED'];
/** How long a hostile tenant has to get its calls under way. */
const hostileLeadMs = 1000;
/** What a stage stored after its job had ended is swept 30 and 90 s later. */
const cleanWithinMs = 120_000;

/**
 * Runs a job while the faults of a round happen, holds what comes out against what has to, deletes
 * the job and looks for what is left of it. Ends when all processes are ready again.
 */
async function runOnce(bed: Bed, plan: RoundPlan, options: RoundOptions): Promise<RoundOutcome> {
  bed.takeExits();
  const hostile = plan.besideHostile ? bed.startHostileTenant() : null;
  if (hostile) await sleep(hostileLeadMs);
  const client = at(bed.clients, plan.index % bed.clients.length);
  const startMs = performance.now();
  const { name } = await client.createJob({
    ...jobOf(plan.job, bed.paths, bed.data),
    displayName: `${plan.kind} ${plan.index}`,
  });
  const acceptedMs = performance.now() - startMs;
  const watched = await watchDisturbed(bed, plan, { name, client, startMs, options });
  const late = plan.besideHostile && acceptedMs > options.acceptedWithinMs;
  const leftovers = await leftoversOf(bed, { client, name, before: options.scratchBefore });
  const problems = [
    ...watched.problems,
    ...((await hostile?.stop()) ?? []),
    ...(late
      ? [`accepted after ${Math.round(acceptedMs)} ms, not within ${options.acceptedWithinMs}`]
      : []),
    ...processProblems(bed.takeExits(), watched.faults),
    ...leftovers.map((left) => `left over: ${left}`),
  ];
  return { plan, ...watched, acceptedMs, leftovers, problems };
}

/** The same, again with earlier faults where the job was over before the first of them. */
export async function runRound(
  bed: Bed,
  plan: RoundPlan,
  options: RoundOptions,
): Promise<RoundOutcome> {
  const outcome = await runOnce(bed, plan, options);
  if (outcome.faults.length > 0 || plan.faults.length === 0 || outcome.problems.length > 0)
    return outcome;
  return runRound(bed, plan, { ...options, undisturbedMs: options.undisturbedMs / 2 });
}

interface RunningJob {
  readonly name: string;
  readonly client: EmlocClient;
  readonly startMs: number;
  readonly options: RoundOptions;
}

async function watchDisturbed(
  bed: Bed,
  plan: RoundPlan,
  { name, client, startMs, options }: RunningJob,
): Promise<
  Pick<RoundOutcome, 'end' | 'faults' | 'seconds' | 'retries' | 'recoverySeconds' | 'events'> & {
    readonly problems: string[];
  }
> {
  const elapsedMs = (): number => performance.now() - startMs;
  // A job that fails at once may be over before its records can be watched.
  const layers =
    plan.job === 'failing' ? null : await watchLayerResults(bed.nats, name.replace('jobs/', ''));
  const ended = new AbortController();
  const injecting = injectAll(bed, plan, {
    undisturbedMs: options.undisturbedMs,
    ended: ended.signal,
    job: { startMs, cancel: () => cancelJob(client, name) },
  });
  const events: SeenEvent[] = [];
  const final = await endOf(client, name, (event) => events.push({ afterMs: elapsedMs(), event }));
  const seconds = elapsedMs() / 1000;
  const { end, problems } = await judge(bed, plan, { final, client, options });
  ended.abort();
  const faults = await injecting;
  await layers?.close();
  await untilReady(bed);
  const isWhole = final.job?.state === 'succeeded' && plan.job !== 'ratio-1';
  return {
    end,
    faults,
    seconds,
    retries: final.job?.retries ?? 0,
    recoverySeconds: faults.map((fault) => recoverySeconds(fault, events, seconds)),
    events,
    problems: [
      ...problems,
      ...eventProblems(
        events.map(({ event }) => event),
        final.job,
      ),
      ...(layers ? layerProblems(layers, { mustHaveAll: isWhole }) : []),
    ],
  };
}

/** One that is over stays as it is, and one whose coordinator is away may be asked in vain. */
async function cancelJob(client: EmlocClient, name: string): Promise<void> {
  try {
    await client.cancelJob(name);
  } catch (error) {
    if (!isEmlocError(error) || !refusals.includes(error.code)) throw error;
  }
}

interface Final {
  readonly job: Job | null;
  /** Why nothing is known of its end. */
  readonly problem: string | null;
}

async function endOf(
  client: EmlocClient,
  name: string,
  onEvent: (event: JobEvent) => void,
): Promise<Final> {
  const signal = AbortSignal.timeout(deadlineMs);
  try {
    for await (const event of client.watchJob(name, { signal })) onEvent(event);
    return { job: await client.getJob(name, { signal }), problem: null };
  } catch (error) {
    const limit = signal.aborted ? `the job was not over after ${deadlineMs / 1000} s: ` : '';
    return { job: null, problem: limit + describe(error) };
  }
}

/** @returns how the job ended, and what is wrong with that */
async function judge(
  bed: Bed,
  plan: RoundPlan,
  { final, client, options }: { final: Final; client: EmlocClient; options: RoundOptions },
): Promise<{ readonly end: string; readonly problems: string[] }> {
  const { job } = final;
  if (!job) return { end: 'unknown', problems: [final.problem ?? 'the job is unknown'] };
  const { state, error } = job;
  const isAllowed = plan.ends.some((end) => end === state);
  const unexpected = isAllowed
    ? []
    : [`the job ${state}: ${error ? `${error.reason}: ${error.message}` : 'no error is told'}`];
  if (state === 'cancelled') return { end: state, problems: unexpected };
  if (state !== 'succeeded')
    return {
      end: error?.reason ?? state,
      problems: [...unexpected, ...failureProblems(error, options.documented)],
    };
  const differing = await resultProblems(bed, { client, name: job.name, options }).catch(
    (thrown: unknown) => [describe(thrown)],
  );
  return {
    end: differing.length === 0 ? 'identical' : 'different',
    problems: [...unexpected, ...differing],
  };
}

async function resultProblems(
  { paths }: Bed,
  { client, name, options }: { client: EmlocClient; name: string; options: RoundOptions },
): Promise<string[]> {
  const { reference } = options;
  if (!reference) return ['the job succeeded, which it cannot'];
  const folder = await mkdtemp(join(paths.work, 'result-'));
  try {
    const [adapter, merged] = [join(folder, 'adapter'), join(folder, 'merged')];
    await client.downloadJob(name, adapter);
    const problems = differences(reference.adapter, await digestsOf(adapter));
    if (!reference.merged) return problems;
    await client.downloadJob(name, merged, { part: 'merged' });
    return [...problems, ...differences(reference.merged, await digestsIn(merged))];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function injectAll(
  bed: Bed,
  { faults }: RoundPlan,
  {
    undisturbedMs,
    ended,
    job,
  }: {
    readonly undisturbedMs: number;
    readonly ended: AbortSignal;
    readonly job: Parameters<typeof inject>[2];
  },
): Promise<AppliedFault[]> {
  const elapsedMs = (): number => performance.now() - job.startMs;
  const applied = faults.map(async (fault) => {
    const waited = await sleep(Math.max(0, fault.at * undisturbedMs - elapsedMs()), true, {
      signal: ended,
    }).catch(() => false);
    return waited ? [await inject(bed, fault, job)] : [];
  });
  return (await Promise.all(applied)).flat();
}

function recoverySeconds(
  { endedMs }: AppliedFault,
  events: readonly SeenEvent[],
  endSeconds: number,
): number {
  const next = events.find(({ afterMs }) => afterMs >= endedMs)?.afterMs ?? endSeconds * 1000;
  return Math.max(0, next - endedMs) / 1000;
}

/** Deletes a job. @returns what is left of it after the time that its removal may take */
async function leftoversOf(
  bed: Bed,
  { client, name, before }: { client: EmlocClient; name: string; before: readonly string[] },
): Promise<string[]> {
  try {
    await client.deleteJob(name, { allowMissing: true });
  } catch (error) {
    if (!isEmlocError(error)) throw error;
    return [`${name}, which could not be deleted: ${error.message}`];
  }
  const endMs = performance.now() + cleanWithinMs;
  for (;;) {
    const left = [
      ...(await leftInBuckets(bed.nats, name.replace('jobs/', ''))),
      ...(await leftInScratch(bed.scratch, before)).map((path) => `${path} in scratch`),
    ];
    if (left.length === 0 || performance.now() > endMs) return left;
    await sleep(500);
  }
}

function describe(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}
