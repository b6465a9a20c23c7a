import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { listWorkspaces, readManifest, workspaceRoot } from '../workspace.mjs';

const workspaces = listWorkspaces().map((workspace): [string] => [workspace]);

function readmeOf(workspace: string): string {
  const path = join(workspaceRoot, workspace, 'README.md');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** Names in the first column of its table of faces, without those of subpaths. */
function told(readme: string): string[] {
  const [, table = ''] = readme.split('\n| face | for |\n');
  return table
    .slice(0, table.indexOf('\n\n'))
    .split('\n')
    .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)])
    .map(([, name = '']) => name);
}

/** Names that the faces of a package export. */
function exported(workspace: string): Set<string> {
  const faces = Object.values(readManifest(workspace)['exports'] ?? {}).map(String);
  const texts = faces.map((face) => readFileSync(join(workspaceRoot, workspace, face), 'utf8'));
  return new Set(texts.flatMap((text) => text.match(/\w+/g) ?? []));
}

it('looks at every package', () => {
  expect(workspaces.length).toBeGreaterThan(40);
  const ofFaces = workspaces.flatMap(([workspace]) => told(readmeOf(workspace)));
  expect(ofFaces.length).toBeGreaterThan(60);
});

it.each(workspaces)(
  '%s has a README that says what it is, what it offers and what holds',
  (workspace) => {
    const readme = readmeOf(workspace);
    const [title = '', , intro = ''] = readme.split('\n');
    const name = workspace.split('/').at(-1) ?? '';
    expect(title.toLowerCase()).toMatch(/^# \S/);
    // `@emloc/bench`, `device-cuda`, `The trainer`; the command is called as it is.
    expect(title.toLowerCase().replaceAll(' ', '-')).toContain(name === 'cli' ? 'emloc' : name);
    expect(intro.length).toBeGreaterThan(30);
    const lines = readme.split('\n').filter((line) => line.trim() !== '');
    expect(lines.length).toBeGreaterThan(6);
  },
);

it.each(workspaces)('%s exports what its README names as its face', (workspace) => {
  const names = told(readmeOf(workspace));
  const known = exported(workspace);
  expect(names.filter((name) => !known.has(name))).toEqual([]);
});

it('has a README beside every package.json, and none that says to do', () => {
  const folders = ['libs', 'services', 'tools'].flatMap((group) =>
    readdirSync(join(workspaceRoot, group), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `${group}/${name}`),
  );
  expect(folders.filter((folder) => /TODO|FIXME/.test(readmeOf(folder)))).toEqual([]);
});
