import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { contentsOf, expectRefusal, inFolder } from '../test/fixtures.js';
import { createFolderAtomic, writeFileAtomic } from './atomic.js';

describe('writeFileAtomic', () => {
  it('replaces a file, and keeps it when writing fails or is aborted', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'x.json');
      await writeFileAtomic(path, 'one');
      await writeFileAtomic(path, Buffer.from('two'));
      await expect(
        writeFileAtomic(path, async (file) => {
          await file.writeFile('half');
          throw new Error('stop');
        }),
      ).rejects.toThrow('stop');
      const controller = new AbortController();
      const aborted = writeFileAtomic(path, async () => controller.abort(), {
        signal: controller.signal,
      });
      await expect(aborted).rejects.toHaveProperty('name', 'AbortError');
      expect(await contentsOf(folder)).toEqual(new Map([['x.json', Buffer.from('two')]]));
    }));

  it('names the missing folder', () =>
    inFolder(async (folder) => {
      await expectRefusal(
        writeFileAtomic(join(folder, 'none', 'x'), ''),
        'CHECKPOINT_NOT_FOUND',
        /none/,
      );
    }));
});

describe('createFolderAtomic', () => {
  it('creates parents, returns what fill returns and shows nothing before the end', () =>
    inFolder(async (folder) => {
      const target = join(folder, 'a', 'b');
      const result = await createFolderAtomic(target, async (temporary) => {
        await mkdir(join(temporary, 'sub'));
        await writeFile(join(temporary, 'sub', 'x'), '1', { mode: 0o400 });
        expect((await readdir(join(folder, 'a'))).includes('b')).toBe(false);
        return 5;
      });
      expect(result).toBe(5);
      expect([...(await contentsOf(folder)).keys()]).toEqual(['a/b/sub/x']);
    }));

  it('takes an empty folder, also through a link, and refuses anything else without touching it', () =>
    inFolder(async (folder) => {
      await mkdir(join(folder, 'empty'));
      await symlink(join(folder, 'empty'), join(folder, 'link'));
      await createFolderAtomic(join(folder, 'link'), (temporary) =>
        writeFile(join(temporary, 'x'), '1'),
      );
      expect(await readFile(join(folder, 'empty', 'x'), 'utf8')).toBe('1');
      let filled = false;
      const fill = async () => {
        filled = true;
      };
      await expectRefusal(
        createFolderAtomic(join(folder, 'empty'), fill),
        'CHECKPOINT_OUTPUT_EXISTS',
        /empty exists/,
      );
      await expectRefusal(
        createFolderAtomic(join(folder, 'empty', 'x'), fill),
        'CHECKPOINT_OUTPUT_EXISTS',
        /not an empty folder/,
      );
      expect(filled).toBe(false);
    }));

  it('refuses when someone else filled the folder meanwhile', () =>
    inFolder(async (folder) => {
      const target = join(folder, 'out');
      const creating = createFolderAtomic(target, async () => {
        await mkdir(target);
        await writeFile(join(target, 'theirs'), '');
      });
      await expectRefusal(creating, 'CHECKPOINT_OUTPUT_EXISTS', /out exists/);
      expect(await readdir(folder)).toEqual(['out']);
      expect(await readdir(target)).toEqual(['theirs']);
    }));

  it('leaves nothing behind when fill fails or the signal aborts', () =>
    inFolder(async (folder) => {
      const controller = new AbortController();
      await expect(
        createFolderAtomic(join(folder, 'out'), async (temporary) => {
          await writeFile(join(temporary, 'x'), '');
          throw new Error('stop');
        }),
      ).rejects.toThrow('stop');
      await expect(
        createFolderAtomic(join(folder, 'out'), async () => controller.abort(), {
          signal: controller.signal,
        }),
      ).rejects.toHaveProperty('name', 'AbortError');
      expect(await readdir(folder)).toEqual([]);
    }));
});
