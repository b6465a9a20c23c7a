import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';

import { dist } from '../../src/testing/index.js';

const known = new Map<string, ReadonlySet<string>>();

/** Variables of the environment that a service takes its options from, by its own help. */
export function serviceOptions(service: string): ReadonlySet<string> {
  const found = known.get(service) ?? readOptions(service);
  known.set(service, found);
  return found;
}

function readOptions(service: string): ReadonlySet<string> {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(dist, service, `${service}.mjs`), '--help'],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`${service} --help ended with ${status}: ${stderr}`);
  const variables = [...stdout.matchAll(/^ .*?(EMLOC_\w+)( or _FILE)?/gm)].flatMap(
    ([, name = '', secret]) => (secret === undefined ? [name] : [name, `${name}_FILE`]),
  );
  if (variables.length < 20) throw new Error(`${service} --help names ${variables.length} options`);
  return new Set(variables);
}
