import { execFileSync } from 'node:child_process';
import { closeSync } from 'node:fs';
import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { FileRefusal } from './file-refusal.js';
import {
  openRegularFile,
  openRegularFileSync,
  readRegularFile,
  readRegularFileSync,
  type OpenOptions,
} from './regular-file.js';

describe('reading regular files', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emloc-regular-'));
    await writeFile(join(folder, 'file'), 'text');
    await symlink('file', join(folder, 'link'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    await symlink('pipe', join(folder, 'link to a pipe'));
    await symlink('/dev/zero', join(folder, 'device'));
    await mkdir(join(folder, 'folder'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const readers: readonly (readonly [string, (path: string) => Promise<Buffer>])[] = [
    ['readRegularFile', (path) => readRegularFile(path, 4)],
    ['readRegularFileSync', async (path) => Promise.resolve(readRegularFileSync(path, 4))],
  ];

  describe.each(readers)('%s', (_, read) => {
    it.each(['file', 'link'])('reads a %s', async (name) => {
      expect((await read(join(folder, name))).toString()).toBe('text');
    });

    it.each(['pipe', 'link to a pipe', 'device', 'folder'])(
      'refuses a %s without waiting',
      async (name) => {
        await expect(read(join(folder, name))).rejects.toMatchObject({
          name: 'FileRefusal',
          message: `${join(folder, name)} is not a regular file`,
        });
      },
    );

    it('refuses what is larger than is borne', async () => {
      await writeFile(join(folder, 'large'), '12345');
      await expect(read(join(folder, 'large'))).rejects.toThrow(
        new FileRefusal(join(folder, 'large'), 'has 5 bytes, above the limit of 4'),
      );
    });

    it('leaves errors of the file system as they are', async () => {
      await expect(read(join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
    });
  });

  it('opens a file with its size', async () => {
    const { handle, bytes } = await openRegularFile(join(folder, 'link'));
    await handle.close();
    expect(bytes).toBe(4);
  });

  const openers: readonly (readonly [
    string,
    (path: string, options: OpenOptions) => Promise<() => Promise<void>>,
  ])[] = [
    [
      'openRegularFile',
      async (path, options) => {
        const { handle } = await openRegularFile(path, options);
        return () => handle.close();
      },
    ],
    [
      'openRegularFileSync',
      (path, options) => {
        const { file } = openRegularFileSync(path, options);
        return Promise.resolve(() => Promise.resolve(closeSync(file)));
      },
    ],
  ];

  describe.each(openers)('%s for writing', (name, open) => {
    it.each(['append', 'update'] as const)('makes a file with its mode to %s', async (use) => {
      const path = join(folder, `${name} ${use}`);
      await (
        await open(path, { use, mode: 0o600 })
      )();
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      await (
        await open(path, { use })
      )();
    });

    it.each(
      ['pipe', 'link to a pipe', 'device', 'folder'].flatMap((place) =>
        (['append', 'update'] as const).map((use) => [place, use] as const),
      ),
    )('refuses a %s to %s without waiting', async (place, use) => {
      // What `open` throws at once counts as a rejection.
      await expect((async () => open(join(folder, place), { use }))()).rejects.toMatchObject({
        name: 'FileRefusal',
        message: `${join(folder, place)} is not a regular file`,
      });
    });

    it('follows a link to append, none to update', async () => {
      await (
        await open(join(folder, 'link'), { use: 'append' })
      )();
      await expect(
        (async () => open(join(folder, 'link'), { use: 'update' }))(),
      ).rejects.toMatchObject({ code: 'ELOOP' });
    });
  });
});
