/**
 * `npm run demo -- ARGUMENTS`: everything that the demonstration needs, then `examples/demo.mjs`.
 */
import process from 'node:process';

import { runNode } from './command.mjs';
import { ensureInstalled } from './ensure-install.mjs';
import { ensureSystemPackage, openBlas } from './system-packages.mjs';

ensureInstalled();
ensureSystemPackage(openBlas);
process.exitCode =
  runNode(['tools/setup/build.mjs']) || runNode(['examples/demo.mjs', ...process.argv.slice(2)]);
