import { until } from '@emloc/time/testing';
import type { NatsConnection } from '@nats-io/transport-node';

import { startNatsHarness, type NatsHarness } from '../testing/nats-harness.js';
import { openNumberedLog, type NumberedLog } from './numbered-log.js';

let harness: NatsHarness;
let log: NumberedLog<string>;
beforeAll(async () => {
  harness = await startNatsHarness();
  log = await openNumberedLog<string>({ nats: await harness.connect(), name: 'jobs' });
});
afterAll(() => harness.stop());

test('numbers the events of a topic from 1, whatever other topics get', async () => {
  const [a, b] = [await log.openWriter('a'), await log.openWriter('b')];
  for (const text of ['1', '2', '3']) {
    await a.append(text);
    await b.append(`b${text}`);
  }
  const events = await log.read('a', 0, 10);
  expect(events.map(({ number, event }) => [number, event])).toEqual([
    [1, '1'],
    [2, '2'],
    [3, '3'],
  ]);
  expect((await log.read('a', events[0]?.position ?? 0, 1)).map(({ number }) => number)).toEqual([
    2,
  ]);
  expect(await log.read('a', events[2]?.position ?? 0, 10)).toEqual([]);
  expect(await log.last('b')).toMatchObject({ number: 3, event: 'b3' });
  expect(await log.last('c')).toBeUndefined();
});

test('a writer that another has followed cannot append', async () => {
  const old = await log.openWriter('fenced');
  await old.append('1');
  const next = await log.openWriter('fenced');
  expect(next.last).toMatchObject({ number: 1, event: '1' });
  await next.append('2');
  await expect(old.append('2 of the old')).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect((await log.read('fenced', 0, 10)).map(({ event }) => event)).toEqual(['1', '2']);
});

/** Calls `act` once, when the client asks for the events of a read. */
function atNextFetch(nats: NatsConnection, act: () => void): void {
  const publish = nats.publish.bind(nats);
  nats.publish = (subject, ...more) => {
    if (subject.includes('.CONSUMER.MSG.NEXT.')) {
      nats.publish = publish;
      act();
    }
    publish(subject, ...more);
  };
}

test.each<[string, (nats: NatsConnection) => Promise<void>]>([
  [
    'is silent for longer than a fetch',
    async (nats) => {
      const pid = harness.server.pid ?? 0;
      const asked = nats.stats().outMsgs;
      process.kill(pid, 'SIGSTOP');
      await until(() => nats.stats().outMsgs > asked + 1, 'the read gives its first fetch up');
      process.kill(pid, 'SIGCONT');
    },
  ],
  [
    'is killed and started again',
    async () => {
      await harness.server.kill();
      await harness.server.restart();
    },
  ],
])('a read goes on when the server %s in the middle of it', async (_, disturb) => {
  const nats = await harness.connect();
  const read = await openNumberedLog<string>({ nats, name: 'jobs' });
  const topic = crypto.randomUUID();
  const writer = await log.openWriter(topic);
  for (const text of ['1', '2', '3']) await writer.append(text);
  let disturbed: Promise<void> | undefined;
  atNextFetch(nats, () => {
    disturbed = disturb(nats);
  });
  expect((await read.read(topic, 0, 10)).map(({ event }) => event)).toEqual(['1', '2', '3']);
  expect(disturbed).toBeDefined();
  await disturbed;
});

test('the tail gives what is appended from now on, through a restart of the server', async () => {
  const stop = new AbortController();
  const writer = await log.openWriter('tailed');
  await writer.append('before');
  const tail = await log.tail(stop.signal);
  await writer.append('1');
  expect((await tail.next()).value).toMatchObject({ topic: 'tailed', number: 2, event: '1' });
  await harness.server.kill();
  await harness.server.restart();
  await writer.append('2');
  expect((await tail.next()).value).toMatchObject({ number: 3, event: '2' });
  stop.abort();
  expect((await tail.next()).done).toBe(true);
});
