import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** Of the repository. */
export const root = fileURLToPath(new URL('../../../..', import.meta.url));
/** Folder of all built programs. */
export const dist = join(root, 'dist');

/** Builds what is stale. */
export function buildPrograms(): void {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'tools/setup/build.mjs')], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the build ended with ${status}: ${stderr}`);
}
