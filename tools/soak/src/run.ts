import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { at } from '@emloc/checked';
import type { Job, JobEvent } from '@emloc/sdk';

import type { Fault } from './fault-plan.js';
import { inject, untilReady, type AppliedFault } from './inject.js';
import { watchLayerResults, type LayerResults } from './layer-results.js';
import { blockCount, digestsOf } from './reference.js';
import type { ObservedExit, TestBed } from './test-bed.js';

/** What came of a job that was disturbed. */
export interface RunOutcome {
  readonly name: string;
  readonly faults: readonly AppliedFault[];
  readonly seconds: number;
  /** How long the coordinator took to accept the job. */
  readonly acceptedMs: number;
  /** Stage calls that were made again. */
  readonly retries: number;
  /** Empty: everything is as it has to be. */
  readonly problems: readonly string[];
  /** What a watcher of the job saw. */
  readonly events: readonly JobEvent[];
}

export interface RunOptions {
  /** For people. */
  readonly name: string;
  readonly faults: readonly Fault[];
  /** What the job takes when nothing happens. */
  readonly undisturbedMs: number;
  /** Another tenant does its worst meanwhile, and the job must be accepted so soon all the same. */
  readonly besideHostile?: { readonly acceptedWithinMs: number } | undefined;
}

const deadlineMs = 300_000;
/** How long a hostile tenant has to get its calls under way. */
const hostileLeadMs = 1000;

/**
 * Runs the job while the faults happen, and holds what comes out against the reference. Ends when
 * all processes are ready again.
 */
async function runDisturbed(
  bed: TestBed,
  { name, faults, undisturbedMs, besideHostile }: RunOptions,
): Promise<RunOutcome> {
  bed.takeExits();
  const hostile = besideHostile ? bed.startHostileTenant() : null;
  if (hostile) await sleep(hostileLeadMs);
  const startMs = performance.now();
  const deadline = new AbortController();
  const timer = setTimeout(
    () => deadline.abort(new Error(`the job was not over after ${deadlineMs / 1000} s`)),
    deadlineMs,
  );
  const { name: job } = await bed.client.createJob({ options: bed.options, displayName: name });
  const acceptedMs = performance.now() - startMs;
  const layers = await watchLayerResults(
    bed.deployment.natsAccess('soak'),
    job.replace('jobs/', ''),
  );
  const ended = new AbortController();
  const injecting = injectAll(bed, faults, { startMs, undisturbedMs, ended: ended.signal });
  const events: JobEvent[] = [];
  const problems: string[] = [];
  let final: Job | null = null;
  try {
    final = await bed.client.waitForJob(job, {
      signal: deadline.signal,
      onEvent: (event) => events.push(event),
    });
    problems.push(...(await adapterProblems(bed, job)));
  } catch (error) {
    problems.push(describe(error));
  }
  const seconds = (performance.now() - startMs) / 1000;
  clearTimeout(timer);
  ended.abort();
  const applied = await injecting;
  await layers.close();
  await untilReady(bed.deployment);
  problems.push(
    ...((await hostile?.stop()) ?? []),
    ...(besideHostile ? acceptanceProblems(acceptedMs, besideHostile) : []),
    ...eventProblems(events, final),
    ...layerProblems(layers, final),
    ...processProblems(bed.takeExits(), applied),
  );
  return {
    name,
    faults: applied,
    seconds,
    acceptedMs,
    retries: final?.retries ?? 0,
    problems,
    events,
  };
}

/**
 * The time that the job takes undisturbed, with every service warm: the second of two runs, or the
 * first that fails.
 * @returns the outcomes of these runs too
 */
export async function measureUndisturbed(
  bed: TestBed,
): Promise<{ readonly undisturbedMs: number; readonly outcomes: readonly RunOutcome[] }> {
  const first = await runDisturbed(bed, { name: 'undisturbed', faults: [], undisturbedMs: 0 });
  if (first.problems.length > 0) return { undisturbedMs: first.seconds * 1000, outcomes: [first] };
  const second = await runDisturbed(bed, { name: 'undisturbed', faults: [], undisturbedMs: 0 });
  return { undisturbedMs: second.seconds * 1000, outcomes: [first, second] };
}

/** The same, again with earlier faults where the job was over before the first of them. */
export async function runUntilDisturbed(bed: TestBed, options: RunOptions): Promise<RunOutcome> {
  const outcome = await runDisturbed(bed, options);
  if (outcome.faults.length > 0 || options.faults.length === 0 || outcome.problems.length > 0)
    return outcome;
  return runUntilDisturbed(bed, { ...options, undisturbedMs: options.undisturbedMs / 2 });
}

async function injectAll(
  bed: TestBed,
  faults: readonly Fault[],
  { startMs, undisturbedMs, ended }: { startMs: number; undisturbedMs: number; ended: AbortSignal },
): Promise<AppliedFault[]> {
  const elapsedMs = (): number => performance.now() - startMs;
  const applied = faults.map(async (fault) => {
    const waited = await sleep(Math.max(0, fault.at * undisturbedMs - elapsedMs()), true, {
      signal: ended,
    }).catch(() => false);
    return waited ? [await inject(bed.deployment, fault, elapsedMs())] : [];
  });
  return (await Promise.all(applied)).flat();
}

/** Nothing has been done to the deployment when the job is created. */
function acceptanceProblems(
  acceptedMs: number,
  { acceptedWithinMs }: { readonly acceptedWithinMs: number },
): string[] {
  return acceptedMs <= acceptedWithinMs
    ? []
    : [`the job was accepted after ${Math.round(acceptedMs)} ms, not within ${acceptedWithinMs}`];
}

function describe(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

async function adapterProblems(
  { client, paths, reference }: TestBed,
  job: string,
): Promise<string[]> {
  const folder = join(paths.work, 'result');
  await rm(folder, { recursive: true, force: true });
  await client.downloadJob(job, folder);
  const digests = await digestsOf(folder);
  return [...reference]
    .filter(([file, digest]) => digests.get(file) !== digest)
    .map(([file]) => `${file} differs from that of emloc tune`);
}

/** Sequences from 1 without gaps, up to the last. */
export function eventProblems(
  events: readonly JobEvent[],
  job: Pick<Job, 'lastEventSequence'> | null,
): string[] {
  const wrong = events.findIndex(({ sequence }, index) => sequence !== index + 1);
  if (wrong >= 0) return [`event ${wrong + 1} has the sequence ${at(events, wrong).sequence}`];
  if (job && job.lastEventSequence !== events.length)
    return [`${events.length} events, the last of the job is ${job.lastEventSequence}`];
  return [];
}

function layerProblems({ results }: LayerResults, job: Job | null): string[] {
  const several = [...results]
    .filter(([, different]) => different.size > 1)
    .map(([layer, different]) => `${layer} has ${different.size} results`);
  return job && results.size !== blockCount
    ? [...several, `${results.size} layers have results, not ${blockCount}`]
    : several;
}

/**
 * Every end of a process has its reason among the faults; one that was asked to end does so with 0.
 */
export function processProblems(
  exits: readonly ObservedExit[],
  applied: readonly AppliedFault[],
): string[] {
  const expected = applied
    .filter(({ fault }) => fault.kind !== 'cut')
    .map(({ fault }) => ({
      process: fault.process as string,
      code: fault.kind === 'terminate' ? 0 : null,
    }));
  const unexpected = exits.filter((exit) => {
    const index = expected.findIndex(
      ({ process, code }) => process === exit.process && code === exit.code,
    );
    if (index >= 0) expected.splice(index, 1);
    return index < 0;
  });
  return [
    ...applied.flatMap(({ problem }) => problem ?? []),
    ...unexpected.map(({ process, code, signal }) => `${process} ended with ${signal ?? code}`),
    ...expected.map(
      ({ process, code }) => `${process} did not end${code === null ? '' : ` with ${code}`}`,
    ),
  ];
}
