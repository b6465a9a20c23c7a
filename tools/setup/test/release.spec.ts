import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { imageFiles, imageVersion } from '../release.mjs';
import { listWorkspaces, readManifest, workspaceRoot } from '../workspace.mjs';

const version = String(readManifest('.')['version']);
const text = (file: string): string => readFileSync(join(workspaceRoot, file), 'utf8');

/** Versions of our packages that a text of JSON names. */
function own(json: string): string[] {
  return [...json.matchAll(/"@emloc\/[a-z-]+": "(\d[^"]*)"/g)].map(([, found = '']) => found);
}

it('has one version everywhere', () => {
  const workspaces = listWorkspaces();
  expect(workspaces.length).toBeGreaterThan(30);
  for (const workspace of workspaces) {
    const asked = own(text(join(workspace, 'package.json')));
    const versions = [readManifest(workspace)['version'], ...asked];
    expect({ workspace, versions: [...new Set(versions)] }).toEqual({
      workspace,
      versions: [version],
    });
  }
  expect([...new Set(own(text('package-lock.json')))]).toEqual([version]);
});

it.each(imageFiles)('names the version of the image in %s', (file) => {
  const found = [...text(file).matchAll(imageVersion)].map(([, , each]) => each);
  expect([...new Set(found)]).toEqual([version]);
});

it('has a section of the changes of the version', () => {
  expect(text('CHANGELOG.md')).toContain(`\n## ${version}\n`);
});
