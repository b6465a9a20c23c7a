/** `npm run check`: lint, types, format, circles, what is unused. */
import process from 'node:process';

import { runChecks } from './checks.mjs';
import { ensureInstalled } from './ensure-install.mjs';
import { standards } from './standards.mjs';

ensureInstalled();
const failed = await runChecks([standards]);
if (failed.length > 0) console.log(`failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
