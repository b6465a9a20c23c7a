import { readFileSync } from 'node:fs';

import { cardFlag, deviceFlags, optionFlags, progressFlags } from './flags.js';

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');

/** Flags that the README's table of `tune` and `plan` names. */
function documented(): Set<string> {
  const [, table = ''] = readme.split('| flags of `tune` and `plan` | default |\n');
  const rows = table.slice(0, table.indexOf('\n\n'));
  return new Set([...rows.matchAll(/--[a-z][a-z-]*/g)].map(([flag]) => flag));
}

it('names every flag of tune and plan in the README, and no other', () => {
  const all = [...optionFlags('tune'), ...progressFlags, ...deviceFlags, cardFlag];
  const flags = all.map(({ long }) => long);
  expect(flags.length).toBeGreaterThan(20);
  expect([...documented()].sort()).toEqual([...flags, '--overwrite'].sort());
});
