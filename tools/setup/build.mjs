/** `npm run build`: bundles every program whose bundle is stale. `--force` bundles all. */
import { relative } from 'node:path';
import process from 'node:process';

import { bundle, isStale, listPrograms } from './bundle.mjs';
import { ensureInstalled } from './ensure-install.mjs';
import { workspaceRoot } from './workspace.mjs';

ensureInstalled();

const force = process.argv.includes('--force');
for (const program of listPrograms()) {
  const label = relative(workspaceRoot, program.outFile);
  if (force || isStale(program)) {
    try {
      const startMs = performance.now();
      const { inputCount } = await bundle(program);
      console.error(
        `build: ${label}: ${inputCount} files, ${Math.round(performance.now() - startMs)} ms`,
      );
    } catch {
      // esbuild has printed every error with its place.
      console.error(`build: ${label} failed`);
      process.exitCode = 1;
    }
  }
}
