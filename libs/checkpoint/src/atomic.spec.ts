import { join } from 'node:path';

import { contentsOf, expectRefusal, inFolder } from '../test/fixtures.js';
import { writeFileAtomic } from './atomic.js';

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
