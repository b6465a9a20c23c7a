import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { takeStateFolder } from './state-folder.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'emloc-state-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

describe.each(['serve.pid', 'nats.pid'])('in the place of %s', (name) => {
  it.each([
    ['a pipe', (path: string) => execFileSync('mkfifo', [path])],
    ['a device', (path: string) => symlinkSync('/dev/zero', path)],
    ['a folder', (path: string) => mkdirSync(path)],
  ])('%s is not waited for, and the folder is free afterwards', async (_, make) => {
    const path = join(folder, name);
    make(path);
    await expect(takeStateFolder(folder)).rejects.toMatchObject({
      code: 'DEPLOYMENT_INVALID_OPTION',
      message: `${path} is not a regular file: remove it; --state-dir names another folder`,
    });
    rmSync(path, { recursive: true });
    expect(existsSync(join(folder, 'serve.pid'))).toBe(false);
    await (await takeStateFolder(folder)).release();
  });
});
