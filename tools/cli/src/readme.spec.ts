import { readFileSync } from 'node:fs';

import { command as plan } from './commands/plan.js';
import { command as tune } from './commands/tune.js';

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');

/** Flags that the README's table of `tune` and `plan` names. */
function documented(): Set<string> {
  const [, table = ''] = readme.split('| flags of `tune` and `plan` | default |\n');
  const rows = table.slice(0, table.indexOf('\n\n'));
  return new Set([...rows.matchAll(/--[a-z][a-z-]*/g)].map(([flag]) => flag));
}

it('names every flag of tune and plan in the README, and no other', () => {
  const flags = new Set([...tune.flags, ...plan.flags].map(({ long }) => long));
  expect(flags.size).toBeGreaterThan(20);
  expect([...documented()].sort()).toEqual([...flags].sort());
});
