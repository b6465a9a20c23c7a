import { Mailbox } from './mailbox.js';
import { FakeClock } from './testing/index.js';

test('gives items in order, to who came before them and after', async () => {
  const box = new Mailbox<number>();
  const first = box.take();
  expect(box.isAwaited).toBe(true);
  for (const item of [1, 2, 3]) box.put(item);
  expect(await first).toEqual({ kind: 'item', item: 1 });
  expect([box.size, box.isAwaited]).toEqual([2, false]);
  expect([await box.take(), await box.take()]).toEqual([
    { kind: 'item', item: 2 },
    { kind: 'item', item: 3 },
  ]);
});

test('tells silence after so long', async () => {
  const clock = new FakeClock();
  const box = new Mailbox<number>(clock);
  const taking = box.take(100);
  await clock.advance(100);
  expect(await taking).toEqual({ kind: 'silence' });
  const next = box.take(100);
  await clock.advance(99);
  box.put(4);
  expect(await next).toEqual({ kind: 'item', item: 4 });
  expect(clock.pending).toBe(0);
});

test('a close lets what is queued be taken, and no more in', async () => {
  const box = new Mailbox<number>();
  expect(box.put(1)).toBe(true);
  box.close();
  expect(box.put(2)).toBe(false);
  const items: number[] = [];
  for await (const item of box) items.push(item);
  expect(items).toEqual([1]);
  expect(await box.take()).toEqual({ kind: 'closed' });
});

test('a failure comes before what is queued, which can be drained', async () => {
  const box = new Mailbox<number>();
  const error = new Error('broken');
  box.put(1);
  box.fail(error);
  box.fail(new Error('later'));
  await expect(box.take()).rejects.toBe(error);
  expect(box.drain()).toEqual([1]);
});

test('a failure wakes who waits', async () => {
  const box = new Mailbox<number>();
  const taking = expect(box.take()).rejects.toThrow('broken');
  box.fail(new Error('broken'));
  await taking;
});
