import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';

import { lockFile } from './process-lock.js';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-lock-'));
  path = join(folder, '.out.lock');
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** The number of a process that is gone. */
async function deadProcess(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(child, 'exit');
  return child.pid ?? 0;
}

describe('lockFile', () => {
  it('admits one holder at a time, of many that come at once', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockFile(path)));
    const held = outcomes.flatMap((outcome) =>
      outcome.status === 'fulfilled' ? [outcome.value] : [],
    );
    const refused = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
    );
    expect(held).toHaveLength(1);
    for (const reason of refused)
      expect(reason).toMatchObject({
        name: 'LockHeldError',
        message: expect.stringContaining(`process ${process.pid}`),
      });
    await held[0]?.[Symbol.asyncDispose]();
    expect(await readdir(folder)).toEqual([]);
    await using _again = await lockFile(path);
  });

  it.each([
    [
      'a process that is gone',
      async () => ({ host: hostname(), pid: await deadProcess(), started: '1', token: 'a' }),
    ],
    [
      'a process whose number another has now',
      async () => ({ host: hostname(), pid: process.pid, started: '1', token: 'a' }),
    ],
  ])('takes over the lock of %s', async (_name, holder) => {
    await writeFile(path, JSON.stringify(await holder()));
    const lock = await lockFile(path);
    await expect(lockFile(path)).rejects.toMatchObject({ name: 'LockHeldError' });
    await lock[Symbol.asyncDispose]();
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    [
      'of another host',
      JSON.stringify({ host: `${hostname()}-not`, pid: 1, started: null, token: 'a' }),
    ],
    ['that is still being written', ''],
  ])('takes over a lock %s only when it has not been renewed for long', async (_name, content) => {
    await writeFile(path, content);
    await expect(lockFile(path)).rejects.toMatchObject({ name: 'LockHeldError' });
    expect(await readFile(path, 'utf8')).toBe(content);
    await utimes(path, new Date(0), new Date(0));
    await using _again = await lockFile(path);
  });

  it.each([
    ['a pipe', () => Promise.resolve(execFileSync('mkfifo', [path]))],
    ['a folder', () => mkdir(path)],
    ['a link to a device', () => symlink('/dev/zero', path)],
    ['a link to nothing', () => symlink('nothing', path)],
    ['a circle of links', () => symlink('.out.lock', path)],
  ])('refuses %s in its place without waiting, and leaves it', async (_name, make) => {
    await make();
    await expect(lockFile(path)).rejects.toMatchObject({
      name: 'FileRefusal',
      message: `${path} is not a regular file`,
    });
    expect(await readdir(folder)).toEqual(['.out.lock']);
  });

  it('gives back only its own lock', async () => {
    const lock = await lockFile(path);
    await writeFile(path, 'another');
    await lock[Symbol.asyncDispose]();
    expect(await readFile(path, 'utf8')).toBe('another');
  });
});
