import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { findProgress } from './job-folder.js';

describe('findProgress', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emloc-progress-'));
    await writeFile(join(folder, 'train.safetensors'), '');
  });

  afterEach(() => rm(folder, { recursive: true }));

  it.each([
    ['a pipe', 'job.json', (path: string) => Promise.resolve(execFileSync('mkfifo', [path]))],
    ['a device', 'tensors.jsonl', (path: string) => symlink('/dev/zero', path)],
  ])('waits for nothing where it finds %s', async (_, name, make) => {
    await make(join(folder, name));
    await expect(findProgress(folder, 'resume')).rejects.toMatchObject({
      code: 'PIPELINE_RESUME_MISMATCH',
      message: expect.stringContaining(name) as string,
    });
    expect(await findProgress(folder, 'restart')).toBeNull();
  });
});
