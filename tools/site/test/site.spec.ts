import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { checkSite } from '../src/check-site.mjs';
import { targetOf } from '../src/links.mjs';
import { sections } from '../src/sections.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'emloc-site-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('is built of all pages, without a dead link, anchor or picture', () => {
  const site = join(folder, 'site');
  const program = join(root, 'tools/site/src/main.mjs');
  // Young objects in plenty: with room for them they cost little.
  const args = ['--max-semi-space-size=32', program, '--without-scripts', '--out', site];
  const { NODE_OPTIONS: _own, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const { pages, links, faults } = checkSite(site);
  expect(stdout).toContain(`${pages} pages, ${links} links, 0 faults`);
  expect(faults).toEqual([]);
  const listed = sections.flatMap((section) => section.pages);
  expect(pages).toBeGreaterThanOrEqual(listed.length);
  const first = readFileSync(join(site, 'index.html'), 'utf8');
  expect(first).toContain('just enough memory to run it');
  expect(first).not.toMatch(/fonts\.(googleapis|gstatic)/);
}, 600_000);

it('has every page of docs in its sidebar, once', () => {
  const listed = sections.flatMap(({ pages }) => pages);
  const written = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && name !== 'index.md')
    .map((name) => `docs/${name}`);
  expect(written.length).toBeGreaterThan(20);
  expect(written.filter((page) => !listed.includes(page))).toEqual([]);
  expect(new Set(listed).size).toBe(listed.length);
});

/** A site of these files. */
function siteOf(name: string, files: Readonly<Record<string, string>>): string {
  for (const [path, text] of Object.entries(files)) {
    const file = join(folder, name, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  return join(folder, name);
}

it('names what leads to nothing, and what is fetched from elsewhere', () => {
  const site = siteOf('faulty', {
    'index.html':
      '<a href="/a/b.html#here">x</a> <a class="y" href="a/">x</a> <a href="https://example.com">x</a> <img src="/p.svg">',
    'a/index.html': '<p id="q">x</p><a href="#q">x</a>',
    'a/b.html':
      '<h2 id="there">x</h2><a href="../none.html">x</a><link rel="z" href="//example.com/z.css"><img src="data:,">',
  });
  expect(checkSite(site)).toEqual({
    pages: 3,
    links: 8,
    faults: expect.arrayContaining([
      'index.html: /a/b.html#here has no such place',
      'index.html: /p.svg leads to nothing',
      'a/b.html: ../none.html leads to nothing',
      'a/b.html: //example.com/z.css is fetched from elsewhere',
    ]),
  });
  expect(checkSite(site).faults).toHaveLength(4);
});

describe('a link of a page', () => {
  it('leads to pages, of a folder to its README', () => {
    const from = 'docs/guide/data.md';
    expect(targetOf('models.md#goldens', from, root)).toEqual({
      path: 'docs/guide/models.md',
      hash: '#goldens',
    });
    expect(targetOf('../../services', from, root)).toEqual({
      path: 'services/README.md',
      hash: '',
    });
    expect(targetOf('../../proto/emloc', from, root)).toEqual({ path: 'proto/emloc', hash: '' });
    expect(targetOf('https://example.com/a.md', from, root)).toBeNull();
    expect(targetOf('#masks', from, root)).toBeNull();
  });

  it('is refused where it leads to nothing, or out of the repository', () => {
    expect(() => targetOf('none.md', 'README.md', root)).toThrow('README.md: the link none.md');
    expect(() => targetOf('../x.md', 'README.md', root)).toThrow('leads to nothing');
  });
});
