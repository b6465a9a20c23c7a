import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';

import { expectRefusal, inFolder } from '../../test/fixtures.js';
import { findOutputFile } from './output-file.js';

describe('findOutputFile', () => {
  it('follows links, also to what is not there yet', () =>
    inFolder(async (folder) => {
      await mkdir(join(folder, 'disk'));
      await writeFile(join(folder, 'disk', 'old'), '');
      await symlink(join('disk', 'old'), join(folder, 'link'));
      await symlink('link', join(folder, 'second'));
      await symlink(join('disk', 'new'), join(folder, 'dangling'));
      for (const [out, real] of [
        ['link', 'disk/old'],
        ['second', 'disk/old'],
        ['dangling', 'disk/new'],
        ['plain', 'plain'],
      ] as const)
        expect(await findOutputFile(join(folder, out))).toBe(join(folder, real));
      expect(await readdir(join(folder, 'disk'))).toEqual(['old']);
    }));

  it('refuses what is no file, and waits for none of it', () =>
    inFolder(async (folder) => {
      execFileSync('mkfifo', [join(folder, 'pipe')]);
      await symlink('pipe', join(folder, 'to-pipe'));
      await symlink('/dev/null', join(folder, 'device'));
      for (const name of ['pipe', 'to-pipe', 'device'])
        await expectRefusal(
          findOutputFile(join(folder, name)),
          'CHECKPOINT_OUTPUT_EXISTS',
          /is a pipe, a socket or a device, not a file/,
        );
      await expectRefusal(findOutputFile(folder), 'CHECKPOINT_OUTPUT_EXISTS', /is a folder/);
    }));

  it('refuses a file in a folder that is none, or that is closed', () =>
    inFolder(async (folder) => {
      await writeFile(join(folder, 'file'), '');
      const code = 'CHECKPOINT_OUTPUT_UNWRITABLE';
      await expectRefusal(findOutputFile(join(folder, 'no', 'x')), code, /no is no folder/);
      await expectRefusal(
        findOutputFile(join(folder, 'file', 'x')),
        'CHECKPOINT_OUTPUT_EXISTS',
        /a part of the path is a file/,
      );
      if (process.getuid?.() === 0) return;
      await chmod(folder, 0o555);
      await expectRefusal(findOutputFile(join(folder, 'x')), code, /nothing can be written/);
      await chmod(folder, 0o755);
    }));
});
