import { setTimeout as sleep } from 'node:timers/promises';

import { describeError } from '../outcome.js';
import type { Fault } from '../plan/faults.js';
import type { Bed } from './bed.js';
import { inject, type AppliedFault, type Disturbed } from './inject.js';

/** Injects faults, each at its time, until `ended` aborts. @returns those that happened */
export async function injectAll(
  bed: Bed,
  faults: readonly Fault[],
  {
    undisturbedMs,
    ended,
    job,
  }: {
    readonly undisturbedMs: number;
    readonly ended: AbortSignal;
    readonly job: Disturbed;
  },
): Promise<AppliedFault[]> {
  const elapsedMs = (): number => performance.now() - job.startMs;
  const applied = faults.map(async (fault) => {
    const waited = await sleep(Math.max(0, fault.at * undisturbedMs - elapsedMs()), true, {
      signal: ended,
    }).catch(() => false);
    return waited ? [await injected(bed, fault, job)] : [];
  });
  return (await Promise.all(applied)).flat();
}

/** A fault that could not be made, or was not taken as it has to be, is told with the round. */
async function injected(bed: Bed, fault: Fault, job: Disturbed): Promise<AppliedFault> {
  const afterMs = performance.now() - job.startMs;
  return inject(bed, fault, job).catch((error: unknown) => ({
    fault,
    afterMs,
    endedMs: performance.now() - job.startMs,
    problem: `${fault.kind}: ${describeError(error)}`,
    alsoKilled: [],
  }));
}
