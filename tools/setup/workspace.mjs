import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute path of the repository's root folder. */
export const workspaceRoot = fileURLToPath(new URL('../../', import.meta.url)).replace(
  /[\\/]$/,
  '',
);

/** Folders that hold workspaces; the same list as `workspaces` in the root package.json. */
export const workspaceGroups = ['libs', 'services', 'tools'];

/**
 * Folders of all workspaces, relative to the root, sorted: `libs/device`, `tools/cli`, ...
 * @param {string} [root]
 * @returns {string[]}
 */
export function listWorkspaces(root = workspaceRoot) {
  return workspaceGroups
    .filter((group) => existsSync(join(root, group)))
    .flatMap((group) => readdirSync(join(root, group)).map((name) => `${group}/${name}`))
    .filter((folder) => existsSync(join(root, folder, 'package.json')))
    .sort();
}

/**
 * The package.json of a workspace, or of the root for `.`.
 * @param {string} workspace relative to the root
 * @returns {Record<string, any>}
 */
export function readManifest(workspace) {
  return JSON.parse(readFileSync(join(workspaceRoot, workspace, 'package.json'), 'utf8'));
}
