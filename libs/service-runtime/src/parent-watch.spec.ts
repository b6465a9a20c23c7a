import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { watchParent } from './parent-watch.js';

function watched(env: Record<string, string>): { stdin: PassThrough; ends: string[] } {
  const [stdin, ends] = [new PassThrough(), [] as string[]];
  watchParent({
    env,
    stdin,
    end: (reason) => ends.push(reason),
    exit: (code) => ends.push(`exit ${code}`),
    withinMs: 50,
  });
  return { stdin, ends };
}

test('ends once when the parent is gone, and at once when that takes too long', async () => {
  const { stdin, ends } = watched({ EMLOC_PARENT_WATCH: 'stdin' });
  stdin.write('ignored');
  await sleep(60);
  expect(ends).toEqual([]);
  stdin.destroy();
  while (ends.length < 2) await sleep(5);
  expect(ends).toEqual(['the process that started it is gone', 'exit 1']);
});

test('watches only where it is asked to', async () => {
  const { stdin, ends } = watched({});
  stdin.destroy();
  await sleep(60);
  expect(ends).toEqual([]);
});
