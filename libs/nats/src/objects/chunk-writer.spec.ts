import { FakeClock } from '@emloc/time/testing';

import type { LaneMessage } from '../connection/lane-parser.js';
import type { Lane } from '../connection/lane.js';
import { writeChunks } from './chunk-writer.js';

/** A lane whose server answers only what a test has it answer. */
function silentLane() {
  const published: string[] = [];
  let deliver: (message: LaneMessage) => void = () => undefined;
  let reconnected: () => void = () => undefined;
  const lane: Lane = {
    maxPayloadBytes: 1024,
    connected: true,
    inbox: 'inbox',
    publish: (_subject, _parts, options) => {
      published.push(options?.reply ?? '');
      return true;
    },
    subscribe: (_subject, handler) => {
      deliver = handler;
      return () => undefined;
    },
    onReconnect: (listener) => {
      reconnected = listener;
      return () => undefined;
    },
    close: () => undefined,
  };
  const answer = (index: number, content: object): void =>
    deliver({
      subject: published[index] ?? '',
      reply: undefined,
      headers: Buffer.of(),
      payload: Buffer.from(JSON.stringify(content)),
      release: () => undefined,
    });
  return { lane, published, answer, reconnect: () => reconnected() };
}

/** Writes chunks of one byte, two at a time. */
function write(chunks: number, signal?: AbortSignal) {
  const clock = new FakeClock();
  const server = silentLane();
  const resent: number[] = [];
  let left = chunks;
  const written = writeChunks(
    {
      lane: server.lane,
      name: 'object',
      subject: 'chunks',
      chunkBytes: 1,
      windowChunks: 2,
      stallTimeoutMs: 5000,
      signal,
      onResend: (count) => resent.push(count),
      clock,
    },
    { next: () => (left > 0 ? ((left -= 1), 1) : 0) },
  );
  written.catch(() => undefined);
  return { ...server, clock, resent, written };
}

test('has no more on its way than its window, and is done when all is acknowledged', async () => {
  const { clock, published, answer, written } = write(3);
  await clock.advance(0);
  expect(published).toHaveLength(2);
  answer(0, { seq: 7 });
  await clock.advance(0);
  expect(published).toHaveLength(3);
  answer(1, { seq: 8 });
  answer(2, { seq: 10 });
  expect(await written).toMatchObject({ chunks: 3, byteLength: 3 });
  expect(clock.pending).toBe(0);
});

test('sends again what is unanswered for two seconds, or was on its way when the lane came back', async () => {
  const { clock, published, answer, resent, reconnect, written } = write(2);
  await clock.advance(2000);
  expect([published.length, resent]).toEqual([2, []]);
  await clock.advance(100);
  expect([published.length, resent]).toEqual([4, [2]]);
  answer(0, { seq: 1 });
  reconnect();
  expect([published.length, resent]).toEqual([5, [2, 1]]);
  answer(1, { seq: 2 });
  await written;
});

test('gives up on a server that stores nothing, with the reason where it gave one', async () => {
  const [silent, full] = [write(2), write(2)];
  await full.clock.advance(0);
  full.answer(0, { error: { code: 503, description: 'insufficient resources' } });
  for (const [{ clock, written }, text] of [
    [silent, 'the server stored nothing for 5000 ms'],
    [full, 'the server stored nothing for 5000 ms: insufficient resources'],
  ] as const) {
    await clock.advance(5200);
    await expect(written).rejects.toMatchObject({
      code: 'OBJECT_STALLED',
      message: `objects: object: ${text}`,
    });
    expect(clock.pending).toBe(0);
  }
});

test.each([
  ['is stored out of order', { seq: 1 }, 'out of order'],
  ['is refused', { error: { code: 400, description: 'no space' } }, 'no space'],
])('fails when a chunk %s, and stays failed', async (_, second, text) => {
  const { clock, answer, written } = write(2);
  await clock.advance(0);
  answer(0, { seq: 5 });
  answer(1, second);
  answer(1, { seq: 6 });
  await expect(written).rejects.toMatchObject({
    code: 'OBJECT_WRITE_FAILED',
    message: expect.stringContaining(text),
  });
});

test('an abort ends the wait with its reason', async () => {
  const stop = new AbortController();
  const { clock, written } = write(3, stop.signal);
  await clock.advance(0);
  const reason = new Error('enough');
  stop.abort(reason);
  await expect(written).rejects.toMatchObject({ code: 'OBJECT_WRITE_FAILED', cause: reason });
});
