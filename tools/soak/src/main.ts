import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { get } from '@emloc/checked';

import type { RoundOutcome } from './outcome.js';
import { parseKinds, planRounds, roundKinds, type RoundKind } from './plan/rounds.js';
import { outcomeLine, summary } from './report.js';
import { openSession, type Session } from './session.js';

const help = `usage: npm run soak -- [--minutes 10] [--seed 1] [--kinds KIND,KIND] [--rounds N] [--from 0] [--accepted-within 2] [--log-level info]
Runs small jobs on local deployments while they are disturbed: ${roundKinds.join(', ')}.
Every job must end with the bytes of emloc tune or with a documented failure where its kind allows one, leave nothing behind, and cost no process memory
or descriptors for good. --rounds ends after so many of each kind, --from begins with this one of each; a seed always means the same rounds.
Beside a hostile tenant a job must be accepted within --accepted-within seconds, more where other work has the processors.
Logs of rounds that went wrong are in out/soak. Needs nats-server on PATH; for a full disk root, else NATS's own limit is used up in its place.
Exit code 1: something was wrong.
`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    kinds: { type: 'string', default: roundKinds.join(',') },
    rounds: { type: 'string', default: String(Number.MAX_SAFE_INTEGER) },
    from: { type: 'string', default: '0' },
    'accepted-within': { type: 'string', default: '2' },
    'log-level': { type: 'string', default: 'info' },
    help: { type: 'boolean', default: false },
  },
});

/** Exit codes above it tell of a signal. */
const stopped = 128;

interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly kinds: readonly RoundKind[];
  readonly rounds: number;
  readonly from: number;
  readonly acceptedWithinMs: number;
}

if (values.help) process.stdout.write(help);
else {
  process.exitCode = await soak(readOptions());
  // What was given up waits for what is gone.
  if (process.exitCode > stopped) process.exit();
}

/** Null: they are wrong, and that is said. */
function readOptions(): SoakOptions | null {
  const options = {
    minutes: Number(values.minutes),
    seed: Number(values.seed),
    rounds: Number(values.rounds),
    from: Number(values.from),
    acceptedWithinMs: Number(values['accepted-within']) * 1000,
  };
  try {
    const isCount = [options.seed, options.rounds, options.from].every(
      (value) => Number.isSafeInteger(value) && value >= 0,
    );
    if (!(options.minutes > 0) || !(options.acceptedWithinMs > 0) || !isCount)
      throw new RangeError('times above 0, and whole numbers from 0 on, are expected');
    return { ...options, kinds: parseKinds(values.kinds) };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${help}`);
    return null;
  }
}

async function soak(options: SoakOptions | null): Promise<number> {
  if (!options) return 2;
  const stop = new AbortController();
  const signalled = new Promise<NodeJS.Signals>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, resolve);
  });
  void signalled.then(() => stop.abort());
  const dist = join(dirname(fileURLToPath(import.meta.url)), '..');
  const paths = { root: join(dist, '..'), dist, work: mkdtempSync(join(tmpdir(), 'emloc-soak-')) };
  const [warm, rounds]: [RoundOutcome[], RoundOutcome[]] = [[], []];
  try {
    const session = await openSession(paths, {
      logLevel: values['log-level'],
      acceptedWithinMs: options.acceptedWithinMs,
      onWarm: (outcome) => {
        if (stop.signal.aborted) return;
        warm.push(outcome);
        report(session, outcome, { options, root: paths.root, isWarm: true });
      },
    });
    try {
      const running = runAll(session, options, stop.signal, (outcome) => {
        rounds.push(outcome);
        report(session, outcome, { options, root: paths.root, isWarm: false });
      });
      // Where it is stopped, the round that runs is left alone.
      const end = await Promise.race([running.then(endedWell, endedBadly), signalled]);
      const courses = session.courses();
      process.stdout.write(`\n${summary({ warm, rounds, courses })}\n`);
      if (typeof end === 'string') {
        process.stderr.write(`soak: ended by ${end}\n`);
        return stopped + constants.signals[end];
      }
      const isRight = [...warm, ...rounds].every(({ problems }) => problems.length === 0);
      return end.isWell && isRight && courses.every(({ isFlat }) => isFlat !== false) ? 0 : 1;
    } finally {
      await session.close();
    }
  } finally {
    rmSync(paths.work, { recursive: true, force: true });
  }
}

function endedWell(): { readonly isWell: boolean } {
  return { isWell: true };
}

/** What no round is to blame for. */
function endedBadly(error: unknown): { readonly isWell: boolean } {
  process.stderr.write(`soak: ${error instanceof Error ? error.stack : String(error)}\n`);
  return { isWell: false };
}

async function runAll(
  session: Session,
  { minutes, seed, kinds, rounds, from }: SoakOptions,
  stop: AbortSignal,
  onEnd: (outcome: RoundOutcome) => void,
): Promise<void> {
  const endMs = performance.now() + minutes * 60_000;
  const left = new Map(kinds.map((kind) => [kind, rounds]));
  for (const plan of planRounds(seed, kinds, from)) {
    if (performance.now() >= endMs || [...left.values()].every((count) => count === 0)) return;
    const own = get(left, plan.kind);
    if (own === 0) continue;
    left.set(plan.kind, own - 1);
    const outcome = await session.run(plan);
    if (stop.aborted) return;
    onEnd(outcome);
  }
}

interface ReportOptions {
  readonly options: SoakOptions;
  readonly root: string;
  /** Nothing was to happen, so that there is nothing to run again by itself. */
  readonly isWarm: boolean;
}

function report(
  session: Session,
  outcome: RoundOutcome,
  { options, root, isWarm }: ReportOptions,
): void {
  const { plan, problems, events } = outcome;
  process.stdout.write(`${isWarm ? `${plan.bed}, ${plan.job}: ` : ''}${outcomeLine(outcome)}\n`);
  if (problems.length === 0) return;
  const folder = join(root, 'out', 'soak');
  mkdirSync(folder, { recursive: true });
  const name = isWarm
    ? `warm-${options.seed}-${plan.bed}-${plan.job}`
    : `${plan.kind}-${options.seed}-${plan.index}`;
  const file = join(folder, `${name}.log`);
  const seen = events.map(
    ({ afterMs, event }) => `event ${(afterMs / 1000).toFixed(1)} s ${JSON.stringify(event)}`,
  );
  const lines = [JSON.stringify(outcome.faults), ...seen, ...session.takeLines(plan.bed)];
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  if (!isWarm)
    process.stdout.write(
      `  again: npm run soak -- --seed ${options.seed} --kinds ${plan.kind} --from ${plan.index} --rounds 1\n`,
    );
  process.stdout.write(`  logs: ${file}\n`);
}
