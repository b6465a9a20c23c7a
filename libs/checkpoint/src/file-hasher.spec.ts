import { createHash } from 'node:crypto';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expectRefusal, inFolder } from '../test/fixtures.js';
import { FileHasher } from './file-hasher.js';

it('hashes ranges of files, more at once than it has threads', () =>
  inFolder(async (folder) => {
    const path = join(folder, 'data');
    const bytes = Buffer.from(Array.from({ length: 3_000_001 }, (_, index) => (index * 7) % 251));
    await writeFile(path, bytes);
    const hasher = new FileHasher(2);
    const ranges = [0, 1, 1000, 2_999_999].map((start) => ({
      path,
      start,
      bytes: bytes.length - start,
    }));
    const hashes = await Promise.all(
      [...ranges, { path, start: 5, bytes: 0 }].map((range) => hasher.hash(range)),
    );
    expect(hashes).toEqual(
      [...ranges.map(({ start }) => bytes.subarray(start)), Buffer.alloc(0)].map((part) =>
        createHash('sha1').update(part).digest('hex'),
      ),
    );
    await hasher.close();
  }));

it.each([
  ['small', 3],
  ['for a thread', 3_000_000],
])('names a file that is gone or too short, and goes on with others: %s', (_size, length) =>
  inFolder(async (folder) => {
    const path = join(folder, 'data');
    await writeFile(path, Buffer.alloc(length, 'a'));
    const hasher = new FileHasher(1);
    const [gone, short, good] = await Promise.allSettled([
      hasher.hash({ path: join(folder, 'gone'), start: 0, bytes: length }),
      hasher.hash({ path, start: 2, bytes: length - 1 }),
      hasher.hash({ path, start: 1, bytes: length - 1 }),
    ]);
    expect(gone).toMatchObject({
      reason: { code: 'CHECKPOINT_IO_FAILED', message: expect.stringContaining('gone') },
    });
    expect(short).toMatchObject({
      reason: { code: 'CHECKPOINT_IO_FAILED', message: `${path} ends at byte ${length}` },
    });
    expect(good).toMatchObject({ status: 'fulfilled' });
    await hasher.close();
  }),
);

it.each([
  ['small', 3],
  ['for a thread', 3_000_000],
])('refuses a file that is not of the time that is given: %s', (_size, bytes) =>
  inFolder(async (folder) => {
    const path = join(folder, 'data');
    await writeFile(path, Buffer.alloc(bytes));
    await using hasher = new FileHasher(1);
    const { mtimeMs } = await stat(path);
    const hashOf = (modifiedMs: number) => hasher.hash({ path, start: 0, bytes, modifiedMs });
    expect(await hashOf(mtimeMs)).toMatch(/^[0-9a-f]{40}$/);
    await expectRefusal(hashOf(mtimeMs - 1), 'CHECKPOINT_IO_FAILED', /data was changed since/);
  }),
);

it('refuses what is asked of it when it is closed, and what it has not done by then', () =>
  inFolder(async (folder) => {
    const path = join(folder, 'data');
    await writeFile(path, Buffer.alloc(50_000_000));
    const hasher = new FileHasher(1);
    const range = { path, start: 0, bytes: 50_000_000 };
    const pending = [hasher.hash(range), hasher.hash(range)].map((hash) =>
      expectRefusal(hash, 'CHECKPOINT_IO_FAILED', /closed/),
    );
    await hasher.close();
    await Promise.all(pending);
    await expectRefusal(hasher.hash(range), 'CHECKPOINT_IO_FAILED', /closed/);
  }));
