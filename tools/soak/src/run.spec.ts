import { EmlocError, type EmlocClient } from '@emloc/sdk';

import type { Bed } from './bed/bed.js';
import { planRound } from './plan/rounds.js';
import { outcomeLine, summary } from './report.js';
import { runRound, type RoundOptions } from './run.js';

const options: RoundOptions = {
  undisturbedMs: 1000,
  reference: null,
  documented: new Set(),
  scratchBefore: [],
  acceptedWithinMs: 2000,
};
const plan = planRound(1, 'hostile', 0);

/** One that takes no job. */
function refusingBed(): { bed: Bed; tenants: string[] } {
  const tenants: string[] = [];
  const client = {
    createJob: () => Promise.reject(new EmlocError('DEADLINE_EXCEEDED', 'after 30 s')),
  } as unknown as EmlocClient;
  const bed = {
    clients: [client],
    paths: { root: '/', dist: '/', work: '/' },
    data: 'rows.jsonl',
    takeExits: () => [],
    startHostileTenant: () => {
      tenants.push('started');
      return {
        stop: () => {
          tenants.push('stopped');
          return Promise.resolve([]);
        },
      };
    },
  } as unknown as Bed;
  return { bed, tenants };
}

test('a round whose job is not accepted has failed, and its tenant is stopped', async () => {
  const { bed, tenants } = refusingBed();
  const outcome = await runRound(bed, plan, options);
  expect(outcome).toMatchObject({
    plan,
    end: 'unknown',
    faults: [],
    acceptedMs: null,
    problems: ['the round could not be run to its end: after 30 s'],
  });
  expect(tenants).toEqual(['started', 'stopped']);
  expect(outcomeLine(outcome)).toContain('not accepted');
  expect(outcomeLine(outcome)).toContain('FAILED: the round could not be run');
  expect(summary({ warm: [], rounds: [outcome], courses: [] })).toMatch(
    /hostile +1 +0 +0 +0 +0 +1 [^]*0 of 1 rounds right/,
  );
});
