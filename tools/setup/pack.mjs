/**
 * `npm run pack [-- FOLDER]`: the packages `emloc` and `@emloc/sdk` as npm installs them, two
 * tarballs in FOLDER or dist/packages. With `--notice`, it writes NOTICE instead.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';

import { ensureInstalled } from './ensure-install.mjs';
import { workspaceRoot } from './workspace.mjs';

ensureInstalled();

const { currentNotice, writeCommandPackage } = await import('./pack/command-package.mjs');

if (process.argv.includes('--notice')) {
  writeFileSync(join(workspaceRoot, 'NOTICE'), currentNotice());
} else {
  const { writeSdkPackage } = await import('./pack/sdk-package.mjs');
  const target = resolve(process.argv[2] ?? join(workspaceRoot, 'dist', 'packages'));
  await pack('emloc', writeCommandPackage, target);
  await pack('sdk', writeSdkPackage, target);
}

/**
 * @param {string} name
 * @param {(folder: string) => Promise<void>} write
 * @param {string} target folder of tarballs
 */
async function pack(name, write, target) {
  const folder = join(target, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await write(folder);
  const { status } = spawnSync('npm', ['pack', '--silent', '--pack-destination', target], {
    cwd: folder,
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error(`npm pack ended with ${status} in ${folder}`);
}
