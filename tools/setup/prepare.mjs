/**
 * npm's `prepare`, after `npm install` and `npm ci`: builds, so that `npx emloc` starts at once. An
 * installation is good even when the sources do not build (or esbuild was left out with
 * `--omit=dev`): `npx emloc` and `npm run build` then say why.
 */
import { runNode } from './command.mjs';
import { isInstalled } from './ensure-install.mjs';

if (isInstalled() && runNode(['tools/setup/build.mjs']) !== 0) {
  console.error('prepare: the build failed, the packages are installed');
}
