import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { planFaults, planTerminations } from '../src/fault-plan.js';
import { measureUndisturbed, runUntilDisturbed } from '../src/run.js';
import { openTestBed, type TestBed } from '../src/test-bed.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'emloc-chaos-'));
let bed: TestBed;
let undisturbedMs: number;

beforeAll(async () => {
  const built = spawnSync(process.execPath, [join(root, 'tools/setup/build.mjs')], {
    cwd: root,
    encoding: 'utf8',
  });
  expect({ status: built.status, stderr: built.status === 0 ? '' : built.stderr }).toEqual({
    status: 0,
    stderr: '',
  });
  bed = await openTestBed({ root, dist: join(root, 'dist'), work });
});

afterAll(async () => {
  await bed?.close();
  rmSync(work, { recursive: true, force: true });
});

test('a deployment gives the adapter of emloc tune, byte for byte', async () => {
  const measured = await measureUndisturbed(bed);
  expect(measured.outcomes.map(({ problems }) => problems)).toEqual([[], []]);
  undisturbedMs = measured.undisturbedMs;
});

// The soak (npm run test:soak) runs thirty seeds, and cuts NATS off as well.
test.each([0, 1, 2])('the same with processes killed: seed %d', async (seed) => {
  const { problems } = await runUntilDisturbed(bed, {
    name: `seed ${seed}`,
    faults: planFaults(seed),
    undisturbedMs,
  });
  expect(problems).toEqual([]);
});

test('the same beside a tenant that does its worst, and accepted all the same', async () => {
  const { problems } = await runUntilDisturbed(bed, {
    name: 'hostile',
    faults: [],
    undisturbedMs,
    // The soak holds it to two seconds; here other tests take the processor, too.
    besideHostile: { acceptedWithinMs: 10_000 },
  });
  expect(problems).toEqual([]);
});

test('the same when every service is asked to end: readiness drops, exit with 0', async () => {
  const { problems, faults } = await runUntilDisturbed(bed, {
    name: 'terminations',
    faults: planTerminations(0),
    undisturbedMs,
  });
  expect(problems).toEqual([]);
  expect(faults.length).toBeGreaterThan(0);
});
