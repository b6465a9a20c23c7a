import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { recordedText } from './text-record.js';

let adapter: string;

beforeEach(async () => {
  adapter = await mkdtemp(join(tmpdir(), 'emloc-record-'));
});
afterEach(() => rm(adapter, { recursive: true }));

const record = (content: string): Promise<void> => writeFile(join(adapter, 'emloc.json'), content);

it('is what the record of an adapter says', async () => {
  await record('{"text": {"date": "2026-01-02", "chatTemplate": "x", "templateArguments": null}}');
  expect(await recordedText(adapter)).toEqual({
    date: '2026-01-02',
    chatTemplate: 'x',
    templateArguments: null,
  });
});

it('is none without a record, or where the record does not say', async () => {
  expect(await recordedText(adapter)).toBeNull();
  await record('{}');
  expect(await recordedText(adapter)).toBeNull();
  await record('{"text": null}');
  expect(await recordedText(adapter)).toBeNull();
});

it.each([
  ['version https://git-lfs.github.com/spec/v1\noid sha256:00\n', 'CHECKPOINT_LFS_POINTER'],
  ['{"text": {"date"', 'CHECKPOINT_ADAPTER_INVALID'],
  ['[]', 'CHECKPOINT_ADAPTER_INVALID'],
])('of a record that cannot be read is an error: %j', async (content, code) => {
  await record(content);
  await expect(recordedText(adapter)).rejects.toMatchObject({
    code,
    message: expect.stringContaining('emloc.json') as string,
  });
});
