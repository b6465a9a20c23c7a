import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { RoundOutcome } from '../src/outcome.js';
import { planRound, type RoundKind } from '../src/plan/rounds.js';
import { openSession, type Session } from '../src/session.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'emloc-chaos-'));
const undisturbed: RoundOutcome[] = [];
let session: Session;

beforeAll(async () => {
  const built = spawnSync(process.execPath, [join(root, 'tools/setup/build.mjs')], {
    cwd: root,
    encoding: 'utf8',
  });
  expect({ status: built.status, stderr: built.status === 0 ? '' : built.stderr }).toEqual({
    status: 0,
    stderr: '',
  });
  session = await openSession(
    { root, dist: join(root, 'dist'), work },
    {
      logLevel: 'info',
      // The soak holds it to two seconds; here other tests take the processor, too.
      acceptedWithinMs: 10_000,
      onWarm: (outcome) => undisturbed.push(outcome),
    },
  );
});

afterAll(async () => {
  await session?.close();
  rmSync(work, { recursive: true, force: true });
});

/**
 * What the soak (npm run soak) does for an hour, and over kinds that take longer. Among these a
 * service is told to stop, one is killed, NATS is killed, and some stand still.
 */
const rounds: readonly (readonly [RoundKind, number])[] = [
  ['storm', 9],
  ['cancel', 3],
  ['hostile', 0],
];

test.each(rounds)(
  'a job ends with the bytes of emloc tune, or as it has to, and leaves nothing: %s %d',
  async (kind, index) => {
    const { problems, faults } = await session.run(planRound(0, kind, index));
    expect(problems).toEqual([]);
    expect(faults.length).toBeGreaterThan(0);
  },
);

test('what happens is of every kind', () => {
  const faults = rounds.flatMap(([kind, index]) => planRound(0, kind, index).faults);
  const kinds = new Set(faults.map(({ kind }) => kind));
  expect([...kinds].sort()).toEqual(['cancel', 'kill', 'pause', 'terminate']);
  expect(faults).toContainEqual(expect.objectContaining({ kind: 'kill', process: 'nats-server' }));
});

test('so do jobs that nothing happens to', () => {
  expect(undisturbed.map(({ end, problems }) => [end, problems])).toEqual([
    ['identical', []],
    ['identical', []],
  ]);
});
