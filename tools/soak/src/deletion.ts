import { setTimeout as sleep } from 'node:timers/promises';
import { isEmlocError, type EmlocClient } from '@emloc/sdk';

import type { Bed } from './bed/bed.js';
import { leftInBuckets, leftInScratch } from './checks/leftovers.js';

/** What a stage stored after its job had ended is swept from 2 to 90 s later. */
const cleanWithinMs = 120_000;
const cancelledWithinMs = 60_000;
const over: readonly string[] = ['succeeded', 'failed', 'cancelled'];

/**
 * Deletes a job.
 * @param before what was in the folders of scratch space before the first job
 * @returns what is left of it after the time that its removal may take
 */
export async function deleteJob(
  bed: Bed,
  { client, name, before }: { client: EmlocClient; name: string; before: readonly string[] },
): Promise<string[]> {
  try {
    await endJob(client, name);
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

/** Cancels a job that is not over, so that it is in no later round's way. */
async function endJob(client: EmlocClient, name: string): Promise<void> {
  const { state } = await client.getJob(name);
  if (over.includes(state)) return;
  await client.cancelJob(name);
  const signal = AbortSignal.timeout(cancelledWithinMs);
  for await (const _ of client.watchJob(name, { signal }));
}
