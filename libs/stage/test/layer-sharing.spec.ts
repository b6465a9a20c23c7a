import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  connectNats,
  openWorkQueue,
  type NatsConnection,
  type WorkItem,
  type WorkQueue,
} from '@emloc/nats';
import { startNatsServer, type NatsServer } from '@emloc/nats/testing';
import { takes, until } from '@emloc/time/testing';

import { blockItems, blockKey, LayerSharing } from '../src/service/layer-sharing.js';

interface Work {
  readonly block: number;
}
interface Done {
  readonly block: number;
  readonly by: string;
}
type Queue = WorkQueue<Work, Done>;

let folder: string;
let server: NatsServer;
let nats: NatsConnection;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'emloc-sharing-'));
  server = await startNatsServer({ storeDir: folder });
  nats = await connectNats({ servers: [server.url] });
});
afterAll(async () => {
  await nats.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const items = blockItems(
  [0, 1, 2, 3, 4, 5].map((block) => ({ block, layer: `model.layers.${block}` })),
);
const keys = items.map(({ key }) => key);
let queues = 0;
const queueOf = (owner: string, maxAttempts = 20): Promise<Queue> =>
  openWorkQueue<Work, Done>({
    nats,
    name: `sharing-${queues}`,
    owner,
    ackWaitMs: 1000,
    maxAttempts,
  });
beforeEach(() => {
  queues += 1;
});

async function fill(): Promise<void> {
  const queue = await queueOf('calibrator');
  for (let block = 0; block < keys.length; block += 1) await queue.add(blockKey(block), { block });
}

async function replica(
  by: string,
  { signal = new AbortController().signal, maxAttempts = 20 } = {},
) {
  const sharing = new LayerSharing<Work, Done>({
    attempt: { signal },
    queue: await queueOf(by, maxAttempts),
  });
  sharing.begin(items);
  return sharing;
}

/** Works until all is done. @returns what this replica did */
async function work(sharing: LayerSharing<Work, Done>, by: string): Promise<string[]> {
  const own: string[] = [];
  for (let item = await sharing.next(); item; item = await sharing.next()) {
    await takes(20);
    if (await sharing.complete(item, { block: item.payload.block, by })) own.push(item.key);
  }
  return own;
}

test('replicas share the work: every item is done once, and all see all results in order', async () => {
  const replicas = [await replica('one'), await replica('two')];
  const working = replicas.map((sharing, index) => work(sharing, String(index)));
  await fill();
  expect((await Promise.all(working)).flat().sort()).toEqual(keys);
  for (const sharing of replicas) {
    expect((await sharing.results()).map(({ block }) => block)).toEqual([0, 1, 2, 3, 4, 5]);
    await sharing.close(new Error('over'));
  }
});

test('what a stopped replica holds goes to another one untried; what it still hands in does not count', async () => {
  await fill();
  const stop = new AbortController();
  const stopped = await replica('stopped', { signal: stop.signal });
  const item = await stopped.next();
  if (!item) throw new Error('there is work');
  stop.abort();
  await stopped.close(new Error('stopped'));
  const other = await replica('other');
  expect((await work(other, 'other')).sort()).toEqual(keys);
  expect(await stopped.complete(item, { block: 99, by: 'stopped' })).toBe(false);
  expect((await other.results()).map(({ by }) => by)).toEqual(keys.map(() => 'other'));
  await other.close(new Error('over'));
});

test.each([
  [
    'its cause',
    Object.assign(new Error('no convergence'), { code: 'LINALG_FAILED' }),
    'no convergence',
  ],
  [
    'no word of a cause that is not ours',
    new Error('/srv/secret/rows.jsonl: boom'),
    'internal error; the log of the service has it under the request id',
  ],
])(
  'an item that fails too often ends the stage of all replicas, with its name, layer and %s',
  async (_what, cause, told) => {
    await fill();
    const [one, two] = [await replica('one', { maxAttempts: 1 }), await replica('two')];
    const item = await one.next();
    if (!item) throw new Error('there is work');
    await one.fail(item, cause);
    for (const sharing of [one, two]) {
      await expect(sharing.results()).rejects.toMatchObject({
        code: 'LAYER_GIVEN_UP',
        message: `${item.key} was tried too often: ${told}`,
        layer: `model.layers.${item.payload.block}`,
      });
      await sharing.close(new Error('over'));
    }
  },
);

test('an attempt that is to end waits for nothing: neither for items nor for results of others', async () => {
  const [idle, waiting] = [new AbortController(), new AbortController()];
  const sharings = [
    await replica('idle', { signal: idle.signal }),
    await replica('waiting', { signal: waiting.signal }),
  ] as const;
  const outcomes = [sharings[0].next(), sharings[1].results()].map((outcome) =>
    outcome.then(
      () => 'done',
      (error: unknown) => (error as Error).message,
    ),
  );
  idle.abort(new Error('the call has ended'));
  waiting.abort(new Error('superseded'));
  expect(await Promise.all(outcomes)).toEqual(['the call has ended', 'superseded']);
  for (const sharing of sharings) await sharing.close(new Error('over'));
});

test('results of others are found although the watch has fallen silent', async () => {
  await fill();
  const deaf: Queue = { ...(await methodsOf(queueOf('deaf'))), watch: silence };
  const other = await replica('other');
  await work(other, 'other');
  const sharing = new LayerSharing<Work, Done>({
    attempt: { signal: new AbortController().signal },
    queue: deaf,
    pollMs: 20,
  });
  sharing.begin(items);
  expect((await sharing.results()).map(({ block }) => block)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(await sharing.next()).toBeNull();
  for (const one of [sharing, other]) await one.close(new Error('over'));
});

test('an item that comes when the attempt has ended is given back', async () => {
  await fill();
  const queue = await queueOf('late');
  const came = gate<WorkItem<Work, Done>>();
  const goOn = gate<void>();
  const late: Queue = {
    ...(await methodsOf(Promise.resolve(queue))),
    take: (signal) => heldBack(queue.take(signal), { came, goOn }),
  };
  const stop = new AbortController();
  const sharing = new LayerSharing<Work, Done>({ attempt: { signal: stop.signal }, queue: late });
  sharing.begin(items);
  const next = sharing.next();
  const { key } = await came.promise;
  stop.abort(new Error('the call has ended'));
  await expect(next).rejects.toThrow('the call has ended');
  await sharing.close(new Error('over'));
  expect(await queue.state(key)).toMatchObject({ state: 'running' });
  goOn.open();
  await until(async () => (await queue.state(key))?.state === 'queued', 'it is given back');
});

test('a replica that loses an item and gets it again has the new one, whatever becomes of the old', async () => {
  await (await queueOf('calibrator')).add(blockKey(0), { block: 0 });
  // It never says that it is at work.
  const silent = await openWorkQueue<Work, Done>({
    nats,
    name: `sharing-${queues}`,
    owner: 'paused',
    ackWaitMs: 300,
    heartbeatMs: 600_000,
    maxAttempts: 20,
  });
  const sharing = new LayerSharing<Work, Done>({
    attempt: { signal: new AbortController().signal },
    queue: silent,
  });
  sharing.begin([{ key: blockKey(0) }]);
  const [old, again] = [await sharing.next(), await sharing.next()];
  if (!old || !again) throw new Error('there is work');
  expect(again.token).toBeGreaterThan(old.token);
  expect(await sharing.complete(old, { block: 0, by: 'old' })).toBe(false);
  expect(sharing.held(blockKey(0))).toBe(again);
  expect(await sharing.complete(again, { block: 0, by: 'new' })).toBe(true);
  expect(await sharing.results()).toEqual([{ block: 0, by: 'new' }]);
  await sharing.close(new Error('over'));
});

interface Gate<T> {
  readonly promise: Promise<T>;
  open(value: T): void;
}

function gate<T>(): Gate<T> {
  let open!: (value: T) => void;
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

/** A queue's methods, to be replaced one by one. */
async function methodsOf(opened: Promise<Queue>): Promise<Queue> {
  const queue = await opened;
  return {
    add: (key, payload) => queue.add(key, payload),
    take: (signal) => queue.take(signal),
    state: (key) => queue.state(key),
    states: (filter) => queue.states(filter),
    watch: (filter, signal) => queue.watch(filter, signal),
    revive: (key, payload) => queue.revive(key, payload),
    remove: (filter) => queue.remove(filter),
    destroy: () => queue.destroy(),
  };
}

function silence(_filter: string, signal: AbortSignal): ReturnType<Queue['watch']> {
  const ended = new Promise<IteratorReturnResult<undefined>>((resolve) => {
    signal.addEventListener('abort', () => resolve({ done: true, value: undefined }));
  });
  const changes: ReturnType<Queue['watch']> = {
    next: () => ended,
    [Symbol.asyncIterator]: () => changes,
  };
  return changes;
}

/** Tells that an item has come, and hands it on when it may. */
async function* heldBack(
  items: AsyncIterable<WorkItem<Work, Done>>,
  { came, goOn }: { came: Gate<WorkItem<Work, Done>>; goOn: Gate<void> },
): ReturnType<Queue['take']> {
  for await (const item of items) {
    came.open(item);
    await goOn.promise;
    yield item;
  }
}
