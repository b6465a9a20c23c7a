import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { assertUploadable, deployedFolder, deployedSource } from './job-sources.js';

const folder = mkdtempSync(join(tmpdir(), 'emloc-sources-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const refusal = (path: string): RegExp =>
  new RegExp(`--class-data ${path}: folders of images are not uploaded; give server:PATH`);

test.each([
  ['server:/data/dogs', '/data/dogs'],
  ['datasets/abc', { dataset: 'datasets/abc' }],
  ['datasets/abc/rows.jsonl', null],
  ['train.jsonl', null],
])('%s is on the deployment as %p', (text, source) => {
  expect(deployedSource(text)).toEqual(source);
});

test('rows are uploaded, whether they can be read is seen then; folders are not', async () => {
  const file = join(folder, 'train.jsonl');
  writeFileSync(file, '');
  await assertUploadable('--class-data', file);
  await assertUploadable('--class-data', join(folder, 'absent'));
  await expect(assertUploadable('--class-data', folder)).rejects.toThrow(refusal(folder));
});

test('a folder of images is on the deployment', () => {
  expect(deployedFolder('--class-data', 'server:/dogs')).toBe('/dogs');
  expect(() => deployedFolder('--class-data', 'dogs')).toThrow(refusal('dogs'));
});
