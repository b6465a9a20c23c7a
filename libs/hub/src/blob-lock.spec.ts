import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { lockBlob } from './blob-lock.js';
import { readText } from './read-text.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hub-lock-'));
});

afterEach(() => rm(folder, { recursive: true }));

describe.each([
  ['a pipe', (path: string) => Promise.resolve(execFileSync('mkfifo', [path]))],
  ['a folder', (path: string) => mkdir(path)],
])('%s', (_, make) => {
  const refusal = (path: string): unknown =>
    expect.objectContaining({
      code: 'HUB_CACHE_FAILED',
      message: `${path} is not a regular file: remove it from the hub cache`,
    });

  it('in the place of a lock is not waited for', async () => {
    const path = join(folder, 'blob.lock');
    await make(path);
    const host = { signal: new AbortController().signal, onWait: () => undefined };
    await expect(lockBlob(path, host)).rejects.toEqual(refusal(path));
  });

  it('in the place of an index is not waited for', async () => {
    const path = join(folder, 'model.safetensors.index.json');
    await make(path);
    await expect(readText(path)).rejects.toEqual(refusal(path));
  });
});
