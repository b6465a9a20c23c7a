import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at } from '@emloc/checked';

import { StreamStore } from './stream-store.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'streams-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const open = (): StreamStore =>
  new StreamStore({
    folder,
    keyOf: (row) => `row ${row}`,
    bytesOf: () =>
      new Map([
        ['left', 2],
        ['right', 1],
      ]),
    dtype: 'float32',
  });

test('a row is there once all of its streams are', async () => {
  const store = open();
  expect(await store.missing([0, 1])).toEqual([0, 1]);
  await store.put(1, 'right', Uint8Array.of(3));
  expect(await open().missing([0, 1])).toEqual([0, 1]);
  await store.put(1, 'left', Uint8Array.of(1, 2));
  expect(await open().missing([0, 1])).toEqual([0]);
  expect((await open().read(1, 'right')).bytes).toEqual(Buffer.of(3));
});

test('what could not be read is read again when it is asked for again', async () => {
  const store = open();
  await store.missing([0]);
  await store.put(0, 'left', Uint8Array.of(1, 2));
  await store.put(0, 'right', Uint8Array.of(3));
  const file = join(folder, at(await readdir(folder), 0));
  await rename(file, `${file}.away`);
  await expect(store.read(0, 'left')).rejects.toMatchObject({ code: 'ENOENT' });
  await rename(`${file}.away`, file);
  expect((await store.read(0, 'left')).bytes).toEqual(Buffer.of(1, 2));
});

test('a pipe in the place of a row is none, nor is one beside it waited for', async () => {
  const fill = async (store: StreamStore): Promise<void> => {
    await store.put(0, 'left', Uint8Array.of(1, 2));
    await store.put(0, 'right', Uint8Array.of(3));
  };
  await fill(open());
  const file = join(folder, at(await readdir(folder), 0));
  await rm(file);
  execFileSync('mkfifo', [file, `${file}.tmp`]);
  const store = open();
  expect(await store.missing([0])).toEqual([0]);
  await fill(store);
  expect((await open().read(0, 'right')).bytes).toEqual(Buffer.of(3));
});
