import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

import { runCommand } from './command.mjs';
import { workspaceRoot } from './workspace.mjs';

/**
 * @typedef {{ version?: string, resolved?: string, integrity?: string, link?: boolean, optional?:
 * boolean, devOptional?: boolean }} LockedPackage
 */

/**
 * What package-lock.json asks for and node_modules does not hold, by path. Optional packages
 * (binaries for other platforms) may be absent, never different.
 * @param {Record<string, LockedPackage>} locked `packages` of package-lock.json
 * @param {Record<string, LockedPackage>} installed `packages` of node_modules/.package-lock.json
 * @returns {string[]}
 */
export function outdatedPackages(locked, installed) {
  return Object.entries(locked)
    .filter(
      ([path, wanted]) => path.startsWith('node_modules/') && !satisfies(wanted, installed[path]),
    )
    .map(([path]) => path);
}

/**
 * @param {LockedPackage} wanted
 * @param {LockedPackage | undefined} found
 */
function satisfies(wanted, found) {
  if (!found) return wanted.optional === true;
  return wanted.link === true
    ? found.link === true && found.resolved === wanted.resolved
    : found.version === wanted.version && found.integrity === wanted.integrity;
}

/**
 * Whether node_modules is what package-lock.json says.
 * @param {string} [root]
 */
export function isInstalled(root = workspaceRoot) {
  const installedLock = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedLock)) return false;
  return (
    outdatedPackages(readPackages(join(root, 'package-lock.json')), readPackages(installedLock))
      .length === 0
  );
}

/**
 * @param {string} lockFile
 * @returns {Record<string, LockedPackage>}
 */
function readPackages(lockFile) {
  return JSON.parse(readFileSync(lockFile, 'utf8')).packages;
}

/**
 * Runs `npm ci` when node_modules is missing or differs from package-lock.json. Ends the process
 * when that fails.
 */
export function ensureInstalled() {
  if (isInstalled()) return;
  console.error('setup: installing npm packages (npm ci)');
  if (runCommand('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']) === 0) return;
  console.error(
    'setup: npm ci failed. When package.json was edited, run `npm install` so that package-lock.json follows; ' +
      'without a connection, `npm ci --prefer-offline` may find everything in the npm cache.',
  );
  process.exit(1);
}
