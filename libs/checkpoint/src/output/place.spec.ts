import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';

import { expectRefusal, inFolder } from '../../test/fixtures.js';
import { entriesOf, findPlace, hiddenPath, isMountPoint } from './place.js';

describe('findPlace', () => {
  it('follows links, also links to links and to what is not there yet', () =>
    inFolder(async (folder) => {
      await mkdir(join(folder, 'disk'));
      await symlink(join(folder, 'disk'), join(folder, 'first'));
      await symlink('first', join(folder, 'second'));
      await symlink(join('second', 'later'), join(folder, 'dangling'));
      for (const [out, real] of [
        ['second', 'disk'],
        ['second/', 'disk'],
        ['second/a/b', 'disk/a/b'],
        ['dangling', 'disk/later'],
        ['a/b', 'a/b'],
      ] as const) {
        const place = await findPlace(join(folder, out));
        expect(place).toEqual({
          out: join(folder, out),
          folder: join(folder, real),
          side: 'beside',
        });
      }
      expect((await readdir(folder)).sort()).toEqual(['dangling', 'disk', 'first', 'second']);
    }));

  it('hides beside a folder, and inside where it is the working folder', () =>
    inFolder(async (folder) => {
      const beside = await findPlace(join(folder, 'out'));
      expect(hiddenPath(beside, 'lock')).toBe(join(folder, '.out.lock'));
      const inside = await findPlace(process.cwd());
      expect(hiddenPath(inside, 'lock')).toBe(join(process.cwd(), '.emloc.lock'));
    }));

  it('refuses a file, what would lie in one, and a circle of links', () =>
    inFolder(async (folder) => {
      await writeFile(join(folder, 'file'), '');
      await symlink('circle', join(folder, 'circle'));
      await expectRefusal(findPlace(join(folder, 'file')), 'CHECKPOINT_OUTPUT_EXISTS', /is a file/);
      await expectRefusal(
        findPlace(join(folder, 'file', 'out')),
        'CHECKPOINT_OUTPUT_EXISTS',
        /file/,
      );
      await expectRefusal(findPlace(join(folder, 'circle')), 'CHECKPOINT_IO_FAILED', /ELOOP/);
    }));

  const asUser = process.getuid?.() === 0 ? it.skip : it;
  asUser('refuses where nothing can be created, and hides inside below such a folder', () =>
    inFolder(async (folder) => {
      await mkdir(join(folder, 'closed', 'own'), { recursive: true });
      await chmod(join(folder, 'closed'), 0o555);
      await expectRefusal(
        findPlace(join(folder, 'closed', 'out')),
        'CHECKPOINT_OUTPUT_UNWRITABLE',
        /closed/,
      );
      expect((await findPlace(join(folder, 'closed', 'own'))).side).toBe('inside');
      await chmod(join(folder, 'closed'), 0o755);
    }),
  );
});

it('does not count what is hidden and what a new volume has', () =>
  inFolder(async (folder) => {
    for (const name of ['.emloc.lock', 'lost+found', 'notes.txt'])
      await writeFile(join(folder, name), '');
    expect(await entriesOf(folder)).toEqual(['notes.txt']);
  }));

it('knows mount points', async () => {
  expect(await isMountPoint('/')).toBe(true);
  await inFolder(async (folder) => {
    expect(await isMountPoint(folder)).toBe(false);
    expect(await isMountPoint(folder, { below: true })).toBe(false);
  });
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  if (table.includes(' /proc ')) expect(await isMountPoint('/proc')).toBe(true);
});
