import { startNatsHarness, type NatsHarness } from '../testing/nats-harness.js';
import { openEventLog, type EventLog } from './event-log.js';

let harness: NatsHarness;
let log: EventLog<{ text: string }>;
beforeAll(async () => {
  harness = await startNatsHarness();
  log = await openEventLog<{ text: string }>({ nats: await harness.connect(), name: 'jobs' });
});
afterAll(() => harness.stop());

async function collect(topic: string, after: number, count: number, during?: () => Promise<void>): Promise<{ sequence: number; text: string }[]> {
  const stop = new AbortController();
  const seen: { sequence: number; text: string }[] = [];
  for await (const { sequence, event } of log.follow(topic, after, stop.signal)) {
    seen.push({ sequence, text: event.text });
    if (seen.length === 1) await during?.();
    if (seen.length === count) stop.abort();
  }
  return seen;
}

test('replays a topic in order and goes on with what comes, each event once', async () => {
  await log.append('a', { text: '1' }, 'a1');
  await log.append('b', { text: 'other' });
  await log.append('a', { text: '1' }, 'a1');
  const seen = await collect('a', 0, 3, async () => { await log.append('a', { text: '2' }); await log.append('a', { text: '3' }); });
  expect(seen.map(({ text }) => text)).toEqual(['1', '2', '3']);
  expect((await collect('a', seen[1]?.sequence ?? 0, 1))[0]).toEqual(seen[2]);
});

test('a reader goes on after the server was killed', async () => {
  await log.append('c', { text: '1' });
  const seen = await collect('c', 0, 2, async () => {
    await harness.server.kill();
    await harness.server.restart();
    await log.append('c', { text: '2' });
  });
  expect(seen.map(({ text }) => text)).toEqual(['1', '2']);
});
