import { PassThrough } from 'node:stream';
import { FakeClock, until } from '@emloc/time/testing';

import { watchParent } from './parent-watch.js';

function watched(env: Record<string, string>) {
  const [stdin, ends, clock] = [new PassThrough(), [] as string[], new FakeClock()];
  watchParent({
    env,
    stdin,
    end: (reason) => ends.push(reason),
    exit: (code) => ends.push(`exit ${code}`),
    withinMs: 50,
    clock,
  });
  return { stdin, ends, clock };
}

test('ends once when the parent is gone, and at once when that takes too long', async () => {
  const { stdin, ends, clock } = watched({ EMLOC_PARENT_WATCH: 'stdin' });
  stdin.write('ignored');
  await clock.advance(60);
  expect(ends).toEqual([]);
  stdin.destroy();
  await until(() => ends.length === 1, 'the end is asked for');
  await clock.advance(49);
  expect(ends).toHaveLength(1);
  await clock.advance(1);
  expect(ends).toEqual(['the process that started it is gone', 'exit 1']);
});

test('watches only where it is asked to', async () => {
  const { stdin, ends, clock } = watched({});
  stdin.destroy();
  await clock.advance(60);
  expect(ends).toEqual([]);
});
