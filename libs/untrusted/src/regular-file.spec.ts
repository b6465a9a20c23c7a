import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { FileRefusal } from './file-refusal.js';
import { openRegularFile, readRegularFile, readRegularFileSync } from './regular-file.js';

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
});
