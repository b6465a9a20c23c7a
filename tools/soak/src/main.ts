import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { parseSeeds, planFaults, planTerminations, type Fault } from './fault-plan.js';
import { outcomeLine, summaryLine } from './report.js';
import { measureUndisturbed, runUntilDisturbed, type RunOptions, type RunOutcome } from './run.js';
import { openTestBed, type TestBed } from './test-bed.js';

const help = `usage: npm run test:soak -- [--seeds 0-29] [--terminations 0-1] [--hostile 0-2] [--builders 1] [--log-level info]
Runs a small job on a local deployment once for each seed, while one or two of its six processes are killed or NATS is cut off for 20 s, and
compares its adapter with that of emloc tune, byte for byte. A termination asks each service to end once, by SIGTERM. The runs
of --hostile are those of these seeds beside a tenant that keeps the coordinator as busy as it can: the job has to be accepted within 2 s all the same.
Logs of runs that failed are in out/soak. Needs nats-server on PATH.
`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '0-29' },
    terminations: { type: 'string', default: '0-1' },
    hostile: { type: 'string', default: '0-2' },
    builders: { type: 'string', default: '1' },
    'log-level': { type: 'string', default: 'info' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) process.stdout.write(help);
else process.exitCode = await soak();

async function soak(): Promise<number> {
  const dist = join(dirname(fileURLToPath(import.meta.url)), '..');
  const work = mkdtempSync(join(tmpdir(), 'emloc-soak-'));
  const bed = await openTestBed(
    { root: join(dist, '..'), dist, work },
    { replicas: { 'emulator-builder': Number(values.builders) }, logLevel: values['log-level'] },
  );
  try {
    const outcomes = await runAll(bed);
    process.stdout.write(`${summaryLine(outcomes)}\n`);
    return outcomes.every(({ problems }) => problems.length === 0) ? 0 : 1;
  } finally {
    await bed.close();
    rmSync(work, { recursive: true, force: true });
  }
}

async function runAll(bed: TestBed): Promise<RunOutcome[]> {
  const { undisturbedMs, outcomes } = await measureUndisturbed(bed);
  for (const outcome of outcomes) report(bed, outcome);
  const disturbed: RunOutcome[] = [];
  for (const run of plannedRuns()) {
    bed.takeLines();
    const outcome = await runUntilDisturbed(bed, { ...run, undisturbedMs });
    report(bed, outcome);
    disturbed.push(outcome);
  }
  return [...outcomes, ...disturbed];
}

function plannedRuns(): Omit<RunOptions, 'undisturbedMs'>[] {
  const runs = (
    seeds: string,
    name: string,
    faultsOf: (seed: number) => readonly Fault[],
    besideHostile?: RunOptions['besideHostile'],
  ) =>
    parseSeeds(seeds).map((seed) => ({
      name: `${name} ${seed}`,
      faults: faultsOf(seed),
      besideHostile,
    }));
  return [
    ...runs(values.seeds, 'seed', planFaults),
    ...runs(values.terminations, 'termination', planTerminations),
    ...runs(values.hostile, 'hostile', planFaults, { acceptedWithinMs: 2000 }),
  ];
}

function report(bed: TestBed, outcome: RunOutcome): void {
  process.stdout.write(`${outcomeLine(outcome)}\n`);
  if (outcome.problems.length > 0) keepLogs(bed, outcome);
}

function keepLogs(bed: TestBed, { name, events }: RunOutcome): void {
  const folder = join(bed.paths.root, 'out', 'soak');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name.replaceAll(' ', '-')}.log`);
  const seen = events.map((event) => `event ${JSON.stringify(event)}`);
  writeFileSync(file, `${[...seen, ...bed.takeLines()].join('\n')}\n`, { mode: 0o600 });
  process.stdout.write(`  logs: ${file}\n`);
}
