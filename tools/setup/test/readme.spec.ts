import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { listWorkspaces, workspaceRoot } from '../workspace.mjs';

/** Projects that the README's map of the repository names. */
function mapped(): readonly string[] {
  const readme = readFileSync(join(workspaceRoot, 'README.md'), 'utf8');
  const [, map = ''] = readme.split('\n| layer | projects |\n');
  const names = map.slice(0, map.indexOf('\n\n')).matchAll(/`((?:libs|services|tools)\/[\w-]+)`/g);
  return [...new Set([...names].map(([, name = '']) => name))];
}

it('has every project in the README’s map of the repository, and no other', () => {
  const folders = listWorkspaces();

  expect(folders.length).toBeGreaterThan(30);
  expect([...mapped()].sort()).toEqual(folders);
});
