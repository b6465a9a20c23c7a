/** `npm run release -- X.Y.Z`: sets the version everywhere, from the root package.json on. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

import { listWorkspaces, readManifest, workspaceRoot } from './workspace.mjs';

/** Files of the deployment that name the version of the image. */
export const imageFiles = [
  'deploy/README.md',
  'deploy/docker/Dockerfile',
  'deploy/kubernetes/base/kustomization.yaml',
  'deploy/kubernetes/overlays/gpu/kustomization.yaml',
  'deploy/kubernetes/model-loader/kustomization.yaml',
];

/** Where a text of these files names a version of ours; that of nats is another. */
export const imageVersion =
  /(emloc:|VERSION=|name: emloc\S*\n(?:\s+newName: \S+\n)?\s+newTag: )(\d+\.\d+\.\d+)/g;

/** @param {string} version */
function release(version) {
  if (!/^\d+\.\d+\.\d+$/.test(version))
    throw new Error(`release: "${version}" is no version; X.Y.Z is expected`);
  const old = readManifest('.')['version'];
  const manifests = ['.', ...listWorkspaces()].map((each) => join(each, 'package.json'));
  // Our packages and what they ask of each other; those of others may have the same version.
  const own = new RegExp(
    `^(\\s*"(?:@emloc/[a-z-]+|version)": ")${old.replaceAll('.', '\\.')}(")`,
    'gm',
  );
  for (const file of manifests) rewrite(file, (text) => text.replace(own, `$1${version}$2`));
  for (const file of imageFiles)
    rewrite(file, (text) => text.replace(imageVersion, `$1${version}`));
  rewrite('package-lock.json', (text) => lockOf(JSON.parse(text), version));
}

/** @param {any} lock @param {string} version */
function lockOf(lock, version) {
  lock.version = version;
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path.includes('node_modules')) continue;
    entry.version = version;
    for (const kind of ['dependencies', 'devDependencies', 'peerDependencies'])
      for (const name of Object.keys(entry[kind] ?? {}))
        if (name.startsWith('@emloc/')) entry[kind][name] = version;
  }
  return `${JSON.stringify(lock, null, 2)}\n`;
}

/** @param {string} file @param {(text: string) => string} change */
function rewrite(file, change) {
  const path = join(workspaceRoot, file);
  writeFileSync(path, change(readFileSync(path, 'utf8')));
}

if (process.argv[1]?.endsWith('release.mjs')) release(process.argv[2] ?? '');
