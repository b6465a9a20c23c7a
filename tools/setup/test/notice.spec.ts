import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { ensureBundled, listPrograms } from '../bundle.mjs';
import { currentNotice } from '../pack/command-package.mjs';
import { workspaceRoot } from '../workspace.mjs';

it('NOTICE names all that is shipped (npm run pack -- --notice writes it)', async () => {
  for (const program of listPrograms())
    if (!/\/tools\/(?!cli)/.test(program.entry)) await ensureBundled(program);
  expect(readFileSync(join(workspaceRoot, 'NOTICE'), 'utf8')).toBe(currentNotice());
});
