import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { inFolder } from '../../test/fixtures.js';
import { collisionOf, foreignPaths, ownedFiles } from './owned.js';

async function recordOf(folder: string, record: unknown): Promise<void> {
  await writeFile(join(folder, 'emloc.json'), JSON.stringify(record));
}

describe('ownedFiles', () => {
  it('are those that the record lists, and those that every adapter had before it did', () =>
    inFolder(async (folder) => {
      expect(await ownedFiles(folder)).toBeNull();
      await recordOf(folder, { files: ['config.json', 'sub/a'] });
      expect(await ownedFiles(folder)).toEqual(['config.json', 'sub/a', 'emloc.json']);
      await recordOf(folder, { job: 'f18' });
      expect(await ownedFiles(folder)).toContain('uncorrected/adapter_model.safetensors');
    }));

  it.each([
    [['../notes.txt']],
    [['/etc/passwd']],
    [['a//b']],
    [['.']],
    [['a\0']],
    [[1]],
    ['config.json'],
    [{}],
  ])('are none where the record lists %j', (files) =>
    inFolder(async (folder) => {
      await recordOf(folder, { job: 'f18', files });
      expect(await ownedFiles(folder)).toBeNull();
    }),
  );
});

describe('foreignPaths', () => {
  it('are the highest entries in which nothing is ours, links and folders in the place of ours included', () =>
    inFolder(async (folder) => {
      for (const path of ['mine/deep', 'uncorrected', 'config.json', 'new'])
        await mkdir(join(folder, path), { recursive: true });
      for (const path of ['mine/deep/a', 'uncorrected/own', 'uncorrected/b', 'new/c', '.hidden'])
        await writeFile(join(folder, path), '');
      await symlink('/nowhere', join(folder, 'weights'));
      const owned = ['config.json', 'weights', 'uncorrected/own'];
      expect(await foreignPaths(folder, owned, ['new/d'])).toEqual([
        '.hidden',
        'config.json',
        'mine',
        'new/c',
        'uncorrected/b',
        'weights',
      ]);
    }));

  it('collide with a file of the same path, and with a folder that a file is to lie in', () => {
    expect(collisionOf(['notes.txt', 'a'], ['b', 'c/d'])).toBeNull();
    expect(collisionOf(['notes.txt', 'c/d'], ['b', 'c/d'])).toBe('c/d');
    expect(collisionOf(['notes.txt', 'c'], ['b', 'c/d'])).toBe('c');
  });
});
