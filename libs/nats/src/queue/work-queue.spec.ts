import { jetstreamManager } from '@nats-io/jetstream';

import { startNatsHarness, type NatsHarness } from '../testing/nats-harness.js';
import type { WorkItem } from './work-item.js';
import { destroyWorkQueue, openWorkQueue, type WorkQueue } from './work-queue.js';

type Queue = WorkQueue<{ layer: number }, string>;

let harness: NatsHarness;
beforeAll(async () => {
  harness = await startNatsHarness();
});
afterAll(() => harness.stop());

async function worker(
  name: string,
  owner: string,
  settings: { ackWaitMs?: number; maxAttempts?: number; heartbeatMs?: number } = {},
): Promise<Queue> {
  return openWorkQueue<{ layer: number }, string>({
    nats: await harness.connect(),
    name,
    owner,
    ackWaitMs: 600,
    ...settings,
  });
}

async function takeOne(queue: Queue): Promise<WorkItem<{ layer: number }, string>> {
  for await (const item of queue.take(new AbortController().signal)) return item;
  throw new Error('no item');
}

test('replicas share the layers, each done once, whatever is added twice', async () => {
  const queues = [await worker('shared', 'a'), await worker('shared', 'b')] as const;
  for (let layer = 0; layer < 12; layer++)
    await queues[layer % 2 === 0 ? 0 : 1].add(`job.${layer}`, { layer });
  await queues[0].add('job.3', { layer: 3 });
  const stop = new AbortController();
  const done: number[] = [];
  await Promise.all(
    queues.map(async (queue) => {
      for await (const item of queue.take(stop.signal)) {
        await item.complete(`result ${item.payload.layer}`);
        done.push(item.payload.layer);
        if (done.length === 12) stop.abort();
      }
    }),
  );
  expect(done.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  const states = await queues[0].states('job.*');
  expect(
    [...states.values()].map((state) => state.state === 'done' && state.result).sort(),
  ).toEqual(done.map((layer) => `result ${layer}`).sort());
});

test("gives a silent worker's item to another and discards its late result", async () => {
  const [slow, fast] = [
    await worker('stale', 'slow', { heartbeatMs: 60_000 }),
    await worker('stale', 'fast'),
  ];
  await slow.add('job.0', { layer: 0 });
  const first = await takeOne(slow);
  const second = await takeOne(fast);
  expect([first.attempt, second.attempt]).toEqual([1, 2]);
  expect(second.token).toBeGreaterThan(first.token);
  await second.complete('good');
  await expect(first.complete('late')).rejects.toMatchObject({ code: 'WORK_STALE' });
  expect(await fast.state('job.0')).toMatchObject({ state: 'done', owner: 'fast', result: 'good' });
});

test('a worker that keeps working keeps its item, and learns when it has lost it', async () => {
  const queue = await worker('beats', 'a');
  const silent = await worker('beats', 'silent', { heartbeatMs: 60_000 });
  await queue.add('job.0', { layer: 0 });
  const item = await takeOne(queue);
  await queue.add('job.1', { layer: 1 });
  // That of a silent worker comes again, after as long as this one keeps its own.
  const others = [await takeOne(silent), await takeOne(silent), await takeOne(queue)] as const;
  expect(others.map(({ payload, attempt }) => [payload.layer, attempt])).toEqual([
    [1, 1],
    [1, 2],
    [1, 3],
  ]);
  expect(item.lost.aborted).toBe(false);
  for (const late of others.slice(0, 2))
    await expect(late.complete('late')).rejects.toMatchObject({ code: 'WORK_STALE' });
  await others[2].complete('done');
  await queue.remove('job.*');
  await new Promise<void>((resolve) => {
    item.lost.addEventListener('abort', () => resolve());
  });
  await expect(item.complete('late')).rejects.toMatchObject({ code: 'WORK_STALE' });
});

test('what fails too often, or cannot succeed, is a dead letter that can be revived', async () => {
  const queue = await worker('dead', 'a', { maxAttempts: 2 });
  await queue.add('job.0', { layer: 0 });
  await (await takeOne(queue)).fail(new Error('first'), { delayMs: 1 });
  await (await takeOne(queue)).fail(new Error('second'), { delayMs: 1 });
  expect(await queue.state('job.0')).toEqual({ state: 'dead', attempt: 2, error: 'second' });
  await queue.revive('job.0', { layer: 0 });
  await (await takeOne(queue)).fail(new Error('no such layer'), { retryable: false });
  expect(await queue.state('job.0')).toEqual({ state: 'dead', attempt: 1, error: 'no such layer' });
});

test('an item given back untried costs no attempt', async () => {
  const queue = await worker('back', 'a');
  await queue.add('job.0', { layer: 0 });
  await (await takeOne(queue)).release();
  const again = await takeOne(queue);
  expect(again.attempt).toBe(1);
  await again.complete('x');
});

test('is deleted unopened, whatever the server has lost of it, and makes nothing that was not there', async () => {
  const nats = await harness.connect();
  await (await worker('halved', 'a')).add('job.1', { layer: 1 });
  const manager = await jetstreamManager(nats);
  const names = async () => (await manager.streams.names().next()).toSorted();
  const before = await names();
  expect(before).toEqual(expect.arrayContaining(['KV_work-halved', 'WORK_halved']));
  await manager.consumers.delete('WORK_halved', 'workers');
  for (const name of ['halved', 'halved', 'never']) await destroyWorkQueue({ nats, name });
  expect(await names()).toEqual(before.filter((stream) => !stream.endsWith('halved')));
});

test('loses nothing when the server is killed between items', async () => {
  const queue = await worker('killed', 'a', { ackWaitMs: 2000 });
  for (let layer = 0; layer < 4; layer++) await queue.add(`job.${layer}`, { layer });
  const stop = new AbortController();
  const done = new Set<string>();
  let restarted: Promise<void> | undefined;
  for await (const item of queue.take(stop.signal)) {
    if (done.size === 1) restarted ??= harness.server.kill().then(() => harness.server.restart());
    await item.complete('ok').then(
      () => done.add(item.key),
      () => undefined,
    );
    if (done.size === 4) stop.abort();
  }
  await restarted;
  expect([...done].sort()).toEqual(['job.0', 'job.1', 'job.2', 'job.3']);
});
