/**
 * `npm run docs [-- --out FOLDER] [--without-scripts]`: the site of the repository's pages, into
 * FOLDER or dist/site, with every link, anchor and picture checked. Without scripts (search,
 * switches) and colours of code it takes half the time.
 */
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { ensureInstalled } from '../../setup/ensure-install.mjs';
import { workspaceRoot } from '../../setup/workspace.mjs';

ensureInstalled();

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(workspaceRoot, 'dist', 'site') },
    'without-scripts': { type: 'boolean', default: false },
  },
});
const [{ build }, { checkSite }] = await Promise.all([
  import('vitepress'),
  import('./check-site.mjs'),
]);
// The configuration is loaded by vitepress, which hands it nothing.
if (values['without-scripts']) process.env['EMLOC_SITE_PLAIN'] = '1';
await build(fileURLToPath(new URL('..', import.meta.url)), {
  outDir: values.out,
  mpa: values['without-scripts'] ? 'true' : undefined,
});
const { pages, links, faults } = checkSite(values.out);
for (const fault of faults) console.error(fault);
console.log(`site: ${pages} pages, ${links} links, ${faults.length} faults, in ${values.out}`);
process.exitCode = pages > 0 && faults.length === 0 ? 0 : 1;
