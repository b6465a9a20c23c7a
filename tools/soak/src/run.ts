import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { at } from '@emloc/checked';
import { isEmlocError, type EmlocClient, type Job, type JobEvent } from '@emloc/sdk';

import { untilReady, type Bed } from './bed/bed.js';
import { injectAll } from './bed/inject-all.js';
import type { AppliedFault } from './bed/inject.js';
import {
  eventProblems,
  failureProblems,
  layerProblems,
  processProblems,
} from './checks/job-checks.js';
import { watchLayerResults } from './checks/layer-results.js';
import { abandonedSince } from './checks/leftovers.js';
import { deleteJob } from './deletion.js';
import { brokenRound, describeError, type RoundOutcome, type SeenEvent } from './outcome.js';
import type { RoundPlan } from './plan/rounds.js';
import { differences, digestsIn, digestsOf, jobOf, type Reference } from './reference.js';

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

/**
 * Runs a job while the faults of a round happen, holds what comes out against what has to, deletes
 * the job and looks for what is left of it. Ends when all processes are ready again.
 * @param events what a watcher sees goes there
 */
async function runOnce(
  bed: Bed,
  plan: RoundPlan,
  options: RoundOptions,
  events: SeenEvent[],
): Promise<RoundOutcome> {
  bed.takeExits();
  const started = new Date();
  const hostile = plan.besideHostile ? bed.startHostileTenant() : null;
  try {
    if (hostile) await sleep(hostileLeadMs);
    const client = at(bed.clients, plan.index % bed.clients.length);
    const startMs = performance.now();
    const { name } = await client.createJob({
      ...jobOf(plan.job, bed.paths, bed.data),
      displayName: `${plan.kind} ${plan.index}`,
    });
    const acceptedMs = performance.now() - startMs;
    const watched = await watchDisturbed(bed, plan, { name, client, startMs, events, options });
    const late = plan.besideHostile && acceptedMs > options.acceptedWithinMs;
    const leftovers = await deleteJob(bed, { client, name, before: options.scratchBefore });
    const problems = [
      ...watched.problems,
      ...((await hostile?.stop()) ?? []),
      ...(late
        ? [`accepted after ${Math.round(acceptedMs)} ms, not within ${options.acceptedWithinMs}`]
        : []),
      ...processProblems(bed.takeExits(), watched.faults),
      ...leftovers.map((left) => `left over: ${left}`),
      ...(plan.faults.length === 0 ? await abandonedSince(bed.nats, started) : []),
    ];
    return { plan, ...watched, events, acceptedMs, leftovers, problems };
  } finally {
    await hostile?.stop();
  }
}

/**
 * The same, again with earlier faults where the job was over before the first of them. What keeps a
 * round from its end is a problem of it.
 */
export async function runRound(
  bed: Bed,
  plan: RoundPlan,
  options: RoundOptions,
): Promise<RoundOutcome> {
  const [startMs, events]: [number, SeenEvent[]] = [performance.now(), []];
  const outcome = await runOnce(bed, plan, options, events).catch((error: unknown) =>
    brokenRound(plan, error, { startMs, events }),
  );
  if (outcome.faults.length > 0 || plan.faults.length === 0 || outcome.problems.length > 0)
    return outcome;
  return runRound(bed, plan, { ...options, undisturbedMs: options.undisturbedMs / 2 });
}

interface RunningJob {
  readonly name: string;
  readonly client: EmlocClient;
  readonly startMs: number;
  readonly events: SeenEvent[];
  readonly options: RoundOptions;
}

async function watchDisturbed(
  bed: Bed,
  plan: RoundPlan,
  { name, client, startMs, events, options }: RunningJob,
): Promise<
  Pick<RoundOutcome, 'end' | 'faults' | 'seconds' | 'retries' | 'recoverySeconds'> & {
    readonly problems: string[];
  }
> {
  const elapsedMs = (): number => performance.now() - startMs;
  // A job that fails at once may be over before its records can be watched.
  const layers =
    plan.job === 'failing' ? null : await watchLayerResults(bed.nats, name.replace('jobs/', ''));
  const ended = new AbortController();
  const injecting = injectAll(bed, plan.faults, {
    undisturbedMs: options.undisturbedMs,
    ended: ended.signal,
    job: { startMs, cancel: () => cancelJob(client, name) },
  });
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
    return { job: null, problem: limit + describeError(error) };
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
    (thrown: unknown) => [describeError(thrown)],
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

function recoverySeconds(
  { endedMs }: AppliedFault,
  events: readonly SeenEvent[],
  endSeconds: number,
): number {
  const next = events.find(({ afterMs }) => afterMs >= endedMs)?.afterMs ?? endSeconds * 1000;
  return Math.max(0, next - endedMs) / 1000;
}
