/**
 * `npm run docs [-- FOLDER]`: the site of the repository's pages, into FOLDER or dist/site, with
 * every link, anchor and picture checked.
 */
import { join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { ensureInstalled } from '../../setup/ensure-install.mjs';
import { workspaceRoot } from '../../setup/workspace.mjs';

ensureInstalled();

const folder = resolve(process.argv[2] ?? join(workspaceRoot, 'dist', 'site'));
process.env['EMLOC_SITE_DIR'] = folder;
const [{ build }, { checkSite }] = await Promise.all([
  import('vitepress'),
  import('./check-site.mjs'),
]);
await build(fileURLToPath(new URL('..', import.meta.url)));
const { pages, links, faults } = checkSite(folder);
for (const fault of faults) console.error(fault);
console.log(`site: ${pages} pages, ${links} links, ${faults.length} faults, in ${folder}`);
process.exitCode = pages > 0 && faults.length === 0 ? 0 : 1;
