import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { runCases } from './run-cases.js';
import { summaryOf } from './summary.js';
import { targetNames } from './targets/index.js';

const help = `usage: npm run fuzz -- [--minutes 1] [--seed 1] [--only NAME,NAME] [--from 0]
Mutates by their structure what strangers send: ${targetNames.join(', ')}.
Each case must be done, or be refused with a documented code that names its place, within seconds and a gibibyte.
A case that went wrong is told by what makes it again. Requests need nats-server on PATH. Exit code 1: something was wrong.
`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: targetNames.join(',') },
    from: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});
process.exitCode = values.help ? (process.stdout.write(help), 0) : await fuzz();

async function fuzz(): Promise<number> {
  const [minutes, seed, from] = [values.minutes, values.seed, values.from].map(Number) as [
    number,
    number,
    number,
  ];
  const targets = values.only.split(',');
  const unknown = targets.find((name) => !targetNames.includes(name));
  if (unknown !== undefined || !(minutes > 0) || !isCount(seed) || !isCount(from)) {
    process.stderr.write(help);
    return 2;
  }
  const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
  const folder = mkdtempSync(join(tmpdir(), 'emloc-fuzz-'));
  try {
    const results = await runCases({ root, folder }, { targets, minutes, seed, from });
    process.stdout.write(summaryOf(results, seed));
    return results.some(({ problems }) => problems.length > 0) ? 1 : 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
