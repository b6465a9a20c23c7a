import type { NumberedEvent, NumberedLog } from '@emloc/nats';
import { nextTurn } from '@emloc/time';
import { until } from '@emloc/time/testing';

import { JobFeed } from './feed.js';
import type { LogEntry } from './ledger.js';

type Event = NumberedEvent<LogEntry>;

/** A log in memory that counts how often it is read; `tail` gives what `append` adds. */
function memoryLog() {
  const events: Event[] = [];
  const arrived: (() => void)[] = [];
  let reads = 0;
  async function* follow(): AsyncGenerator<Event, void, undefined> {
    for (let index = events.length; ; index += 1) {
      while (index >= events.length) await new Promise<void>((resolve) => arrived.push(resolve));
      yield events[index] as Event;
    }
  }
  const log: Pick<NumberedLog<LogEntry>, 'read' | 'tail'> = {
    read: async (topic, afterPosition, limit) => {
      reads += 1;
      const found = events.filter((one) => one.topic === topic && one.position > afterPosition);
      await nextTurn();
      return found.slice(0, limit);
    },
    tail: () => {
      const iterator = follow();
      return Promise.resolve(iterator);
    },
  };
  return {
    log: log as NumberedLog<LogEntry>,
    reads: () => reads,
    append: (topic: string) => {
      const number = events.filter((one) => one.topic === topic).length + 1;
      events.push({ topic, number, position: events.length + 1, event: {} as LogEntry });
      for (const wake of arrived.splice(0)) wake();
    },
  };
}

async function take(events: AsyncIterable<Event>, count: number): Promise<number[]> {
  const numbers: number[] = [];
  for await (const { number } of events) {
    numbers.push(number);
    if (numbers.length === count) break;
  }
  return numbers;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

test('watchers that come together read the log once, and each sees everything', async () => {
  const { log, reads, append } = memoryLog();
  const stop = new AbortController();
  const feed = new JobFeed(log);
  await feed.start(stop.signal);
  for (let count = 0; count < 200; count += 1) append('job');
  const watchers = Array.from({ length: 100 }, () => take(feed.follow('job', 0, stop.signal), 300));
  // One is appended while the first read is under way.
  append('job');
  await until(() => feed.watchers === 100 && reads() > 0, 'all watch');
  for (let count = 0; count < 99; count += 1) append('job');
  for (const numbers of await Promise.all(watchers)) expect(numbers).toEqual(upTo(300));
  // Two batches of what was there.
  expect(reads()).toBeLessThanOrEqual(3);
  expect(feed.watchers).toBe(0);
});

test('a read that fails ends those that wait for it, and not those that come after', async () => {
  const { log, append } = memoryLog();
  const stop = new AbortController();
  append('job');
  let failures = 1;
  const failing: NumberedLog<LogEntry> = {
    ...log,
    read: async (...args) => {
      const events = await log.read(...args);
      if (failures-- > 0) throw new Error('the log is away');
      return events;
    },
  };
  const feed = new JobFeed(failing);
  await feed.start(stop.signal);
  const two = [1, 2].map(() => take(feed.follow('job', 0, stop.signal), 1));
  for (const result of await Promise.allSettled(two)) expect(result.status).toBe('rejected');
  expect(await take(feed.follow('job', 0, stop.signal), 1)).toEqual([1]);
});
