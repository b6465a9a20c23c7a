import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { rowFiles, type RowFilesOptions } from './row-files.js';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-row-files-'));
  await mkdir(join(folder, 'rows', 'pages'), { recursive: true });
  for (const name of ['rows/pages/1.png', 'rows/2.png', 'elsewhere.png'])
    await writeFile(join(folder, name), name);
  await symlink('../elsewhere.png', join(folder, 'rows', 'link.png'));
  await symlink('2.png', join(folder, 'rows', 'same.png'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const messages = [
  { role: 'user', content: '<image>\nQ?' },
  { role: 'assistant', content: 'A.' },
];

async function filesOf(text: string | Uint8Array, options: RowFilesOptions = {}) {
  const path = join(folder, 'rows', 'data');
  await writeFile(path, text);
  return rowFiles(path, options);
}

const filesOfRows = (...rows: readonly object[]) =>
  filesOf(rows.map((row) => JSON.stringify(row)).join('\n'));

it('are those that rows name by paths, once each, under the names of the rows', async () => {
  const part = { type: 'image', path: './2.png' };
  const data = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
  const shown = (content: unknown) => [{ role: 'user', content }, messages[1]];
  expect(
    await filesOfRows(
      { images: ['pages/1.png'], messages },
      { image: { path: 'pages/../pages/1.png' }, messages },
      { messages: shown([part, data, { type: 'text', text: 'Q?' }]) },
      { image: 'same.png', messages },
      { image: 'https://example.org/3.png', messages },
      { messages: shown('an image in words') },
      { broken: 'image' },
    ),
  ).toEqual([
    { name: 'pages/1.png', path: join(folder, 'rows/pages/1.png') },
    { name: '2.png', path: join(folder, 'rows/2.png') },
    { name: 'same.png', path: join(folder, 'rows/2.png') },
  ]);
});

it('are found in every form of rows, and under other names of columns', async () => {
  const row = { images: ['2.png'], messages };
  const found = [{ name: '2.png', path: join(folder, 'rows/2.png') }];
  expect(await filesOf(JSON.stringify([row]))).toEqual(found);
  expect(await filesOf(gzipSync(JSON.stringify(row)))).toEqual(found);
  expect(await filesOf('image,prompt,completion\n2.png,Q?,A.\n')).toEqual(found);
  const renamed = JSON.stringify({ photo: '2.png', messages });
  expect(await filesOf(renamed)).toEqual([]);
  expect(await filesOf(renamed, { columns: 'image=photo' })).toEqual(found);
});

it.each([
  ['an absolute path', '/etc/hostname', /absolute/],
  ['a file URL', 'file:///etc/hostname', /absolute/],
  ['a way out', '../elsewhere.png', /lies outside/],
  ['a link that leads out', 'link.png', /lies outside/],
  ['nothing', 'missing.png', /ENOENT/],
])('are refused where a row names %s', async (_, image, reason) => {
  await expect(filesOfRows({ text: 'first' }, { image, messages })).rejects.toMatchObject({
    code: 'DATASET_INVALID_ROW',
    message: expect.stringMatching(new RegExp(`data:2: image: .*${reason.source}`)),
  });
});

it('are none of a list of data sets, which names files of this machine', async () => {
  await expect(filesOf('{"a": {"annotation": "rows.jsonl"}}')).rejects.toMatchObject({
    code: 'DATASET_UNREADABLE',
    message: expect.stringContaining('lists data sets'),
  });
});
