import { open, rename, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expectRefusal, inFolder } from '../test/fixtures.js';
import { RangedFile } from './ranged-file.js';

const inFile = (test: (path: string) => Promise<void>) =>
  inFolder(async (folder) => {
    const path = join(folder, 'file');
    await writeFile(path, Buffer.alloc(64, 1));
    await test(path);
  });

/** Other bytes in the same inode, at another time. */
async function change(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  await handle.write(Buffer.alloc(8, 2), 0, 8, 0);
  await handle.close();
  await utimes(path, 1, 1);
}

it('is refused after it was changed in place, while its handle is open', () =>
  inFile(async (path) => {
    const file = await RangedFile.open(path);
    await file.read(new Uint8Array(8), 0);
    await file.assertUnchanged();
    await change(path);
    await expectRefusal(file.assertUnchanged(), 'CHECKPOINT_IO_FAILED', /was changed since/);
    await file.close();
  }));

it('is looked at by reads themselves, a second after the last look', () =>
  inFile(async (path) => {
    const { now } = performance;
    try {
      performance.now = () => 0;
      const file = await RangedFile.open(path);
      await change(path);
      performance.now = () => 900;
      await file.read(new Uint8Array(8), 0);
      performance.now = () => 1100;
      const read = file.read(new Uint8Array(8), 0);
      await expectRefusal(read, 'CHECKPOINT_IO_FAILED', /was changed since it was opened/);
      await file.close();
    } finally {
      performance.now = now;
    }
  }));

it('is refused where it ends before what is read', () =>
  inFile(async (path) => {
    const file = await RangedFile.open(path);
    await truncate(path, 10);
    await expectRefusal(
      file.read(new Uint8Array(64), 0),
      'CHECKPOINT_IO_FAILED',
      /ends at byte 10: it was cut/,
    );
    await expectRefusal(file.assertUnchanged(), 'CHECKPOINT_IO_FAILED', /has 10 bytes, 64 when/);
    await file.close();
  }));

it('is as it was where another has taken its place, until it is opened again', () =>
  inFile(async (path) => {
    const file = await RangedFile.open(path);
    await writeFile(`${path}.new`, Buffer.alloc(64, 3));
    await utimes(`${path}.new`, 1, 1);
    await rename(`${path}.new`, path);
    await file.assertUnchanged();
    await file.release();
    await file.assertUnchanged();
    await expectRefusal(
      file.read(new Uint8Array(8), 0),
      'CHECKPOINT_IO_FAILED',
      /was changed since it was opened/,
    );
    await file.close();
  }));
