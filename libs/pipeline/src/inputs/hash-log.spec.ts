import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { HashLog, readHashLog } from './hash-log.js';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-hashes-'));
  path = join(folder, 'tensors.jsonl');
});

afterEach(() => rm(folder, { recursive: true, force: true }));

it('has what was added once that is awaited, also when many are added at once', async () => {
  expect(await readHashLog(path)).toEqual(new Map());
  const log = await HashLog.open(path);
  const names = Array.from({ length: 50 }, (_, index) => `layers.${index}."weight"\n`);
  await Promise.all(
    names.map(async (name, index) => {
      await log.add(name, String(index));
      expect((await readHashLog(path)).get(name)).toBe(String(index));
    }),
  );
  await log.close();
  expect([...(await readHashLog(path)).keys()].sort()).toEqual([...names].sort());
});

it('goes on after a line that a crash has cut', async () => {
  const first = await HashLog.open(path);
  await first.add('a', '1');
  await first.close();
  await appendFile(path, '["b","2');
  const second = await HashLog.open(path);
  await second.add('c', '3');
  await second.close();
  expect(await readHashLog(path)).toEqual(
    new Map([
      ['a', '1'],
      ['c', '3'],
    ]),
  );
  expect(await readFile(path, 'utf8')).toContain('["b","2\n');
});

it.each(['pipe', 'folder'])('refuses a %s in its place without waiting', async (kind) => {
  if (kind === 'pipe') execFileSync('mkfifo', [path]);
  else await mkdir(path);
  for (const opened of [HashLog.open(path), readHashLog(path)])
    await expect(opened).rejects.toThrow(`${path} is not a regular file`);
});
