import { execFileSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from '@emloc/service';
import { FakeClock, until } from '@emloc/time/testing';

import { followFile } from './follow-file.js';

const folder = mkdtempSync(join(tmpdir(), 'emloc-followed-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function followed(name: string, text: string) {
  const path = join(folder, name);
  writeFileSync(path, text);
  const [clock, stop, errors] = [new FakeClock(), new AbortController(), [] as string[]];
  const logger = {
    info: () => undefined,
    error: (_: unknown, message: string) => errors.push(message),
  } as unknown as Logger;
  const parse = (json: string): unknown => JSON.parse(json);
  const value = await followFile(
    { path, option: 'numbers', parse },
    { logger, signal: stop.signal, clock },
  );
  return { path, clock, stop, errors, value };
}

test('what a file says later holds within a second, and half of it changes nothing', async () => {
  const { path, clock, stop, errors, value } = await followed('later', '[1]');
  expect(value()).toEqual([1]);
  writeFileSync(path, '[1, 2]');
  expect(value()).toEqual([1]);
  await clock.advance(1000);
  await until(() => JSON.stringify(value()) === '[1,2]', 'the new numbers');
  writeFileSync(path, '[1, 2, ');
  await clock.advance(1000);
  await until(() => errors.length > 0, 'the error');
  expect([value(), errors]).toEqual([
    [1, 2],
    ['numbers cannot be read: what it said before holds'],
  ]);
  stop.abort();
  expect(clock.pending).toBe(0);
});

test('a file that cannot be read at the start is refused', async () => {
  await expect(followed('half', '[1, ')).rejects.toThrow();
});

test('a pipe is refused at the start, and later what was said before holds', async () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const { path, clock, stop, errors, value } = await followed('replaced', '[1]');
  renameSync(pipe, path);
  await clock.advance(1000);
  await until(() => errors.length > 0, 'the error');
  expect(value()).toEqual([1]);
  stop.abort();
  const options = { logger: {} as Logger, signal: stop.signal, clock };
  await expect(followFile({ path, option: 'numbers', parse: String }, options)).rejects.toThrow(
    `options: numbers: ${path} is not a regular file`,
  );
});
