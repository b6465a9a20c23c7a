import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { ensureBundled, externalPackages, listPrograms } from '../bundle.mjs';
import { listWorkspaces, readManifest, workspaceRoot } from '../workspace.mjs';
import { bundledPackages, installedPackages, licenceTexts, noticeText } from './third-party.mjs';

/** What `emloc` starts: itself, and with `serve` the services. */
const programs = listPrograms().filter(
  ({ name, entry }) => name === 'emloc' || entry.startsWith(join(workspaceRoot, 'services')),
);

/** Folders and files of the checkout that are installed with the command. */
const copied = ['LICENSE', 'NOTICE', 'CHANGELOG.md', 'docs', 'proto', 'recipes'];

/**
 * Writes the folder of the package `emloc`: bundles of the command and the services with what they
 * load, docs, recipes and contracts.
 * @param {string} folder is made
 */
export async function writeCommandPackage(folder) {
  for (const program of programs) {
    await ensureBundled(program);
    copyProgram(program, join(folder, 'dist', program.name));
  }
  for (const name of copied)
    cpSync(join(workspaceRoot, name), join(folder, name), { recursive: true });
  const cli = join(workspaceRoot, 'tools', 'cli');
  copyInto(join(cli, 'README.md'), join(folder, 'README.md'));
  copyInto(join(cli, 'bin', 'installed.cjs'), join(folder, 'bin', 'emloc.cjs'));
  copyInto(join(cli, 'bin', 'runtime.cjs'), join(folder, 'bin', 'runtime.cjs'));
  const { bundled } = thirdParty();
  writeFileSync(join(folder, 'THIRD-PARTY-LICENSES.txt'), licenceTexts(bundled));
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest(), null, 2)}\n`);
}

/** The text of NOTICE for the bundles as they are. */
export function currentNotice() {
  return noticeText(thirdParty());
}

/** What this build has made, without source maps and records of building. */
function copyProgram(
  /** @type {import('../bundle.mjs').Program} */ { folder },
  /** @type {string} */ target,
) {
  /** @type {string[]} */
  const outputs = JSON.parse(readFileSync(join(folder, 'outputs.json'), 'utf8'));
  for (const name of outputs.filter((each) => !each.endsWith('.map')))
    copyInto(join(folder, name), join(target, name));
  const assets = join(folder, 'assets');
  if (existsSync(assets)) cpSync(assets, join(target, 'assets'), { recursive: true });
}

/** @param {string} source @param {string} target */
function copyInto(source, target) {
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(source, target);
}

function manifest() {
  const { version, description, license, engines } = readManifest('.');
  return {
    name: 'emloc',
    version,
    description,
    license,
    type: 'module',
    bin: { emloc: 'bin/emloc.cjs' },
    engines,
    dependencies: versionsOf('dependencies'),
    peerDependencies: versionsOf('peerDependencies'),
    peerDependenciesMeta: Object.fromEntries(
      Object.keys(versionsOf('peerDependencies')).map((name) => [name, { optional: true }]),
    ),
  };
}

/**
 * Versions of packages that are not bundled, as the libraries have them.
 * @param {'dependencies' | 'peerDependencies'} kind
 * @returns {Record<string, string>}
 */
function versionsOf(kind) {
  const all = listWorkspaces()
    .filter((workspace) => workspace.startsWith('libs/'))
    .flatMap((workspace) => Object.entries(readManifest(workspace)[kind] ?? {}))
    .filter(([name]) => isExternal(name));
  return Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** @param {string} name */
function isExternal(name) {
  return externalPackages.some((pattern) =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  );
}

function thirdParty() {
  const inputs = programs.flatMap(
    ({ folder }) =>
      /** @type {string[]} */ (JSON.parse(readFileSync(join(folder, 'inputs.json'), 'utf8'))),
  );
  return {
    bundled: bundledPackages(inputs, workspaceRoot),
    installed: installedPackages(Object.keys(versionsOf('dependencies')), workspaceRoot),
  };
}
