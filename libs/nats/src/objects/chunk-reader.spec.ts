import { FakeClock } from '@emloc/time/testing';

import type { LaneMessage } from '../connection/lane-parser.js';
import type { Lane } from '../connection/lane.js';
import { readChunks, type ObjectSink } from './chunk-reader.js';

interface Published {
  readonly subject: string;
  readonly reply: string;
  readonly body: { readonly config?: { readonly opt_start_seq?: number }; readonly batch?: number };
}

/** A lane whose JetStream a test plays. */
function playedLane() {
  const published: Published[] = [];
  const handlers = new Map<string, (message: LaneMessage) => void>();
  const lane: Lane = {
    maxPayloadBytes: 1024,
    connected: true,
    inbox: 'inbox',
    publish: (subject, parts, options) => {
      const text = Buffer.concat(parts).toString();
      const body = (text === '' ? {} : JSON.parse(text)) as Published['body'];
      return published.push({ subject, reply: options?.reply ?? '', body }) > 0;
    },
    subscribe: (subject, handler) => {
      handlers.set(subject, handler);
      return () => void handlers.delete(subject);
    },
    onReconnect: () => () => undefined,
    close: () => undefined,
  };
  const asked = (what: 'CREATE' | 'NEXT'): Published[] =>
    published.filter(({ subject }) => subject.includes(what));
  const deliver = (to: string, message: Partial<LaneMessage>): void =>
    handlers.get(to)?.({
      subject: to,
      reply: undefined,
      headers: Buffer.of(),
      payload: Buffer.of(),
      release: () => undefined,
      ...message,
    });
  return { lane, asked, deliver };
}

/** Reads three chunks of a byte. */
function read(sink: ObjectSink = { write: () => undefined }) {
  const clock = new FakeClock();
  const { lane, asked, deliver } = playedLane();
  const digest = readChunks(
    {
      lane,
      stream: 'S',
      subject: 'chunks',
      name: 'object',
      byteLength: 3,
      chunks: 3,
      windowChunks: 2,
      stallTimeoutMs: 5000,
      signal: undefined,
      clock,
    },
    sink,
  );
  digest.catch(() => undefined);
  const answer = async (pending: number): Promise<void> => {
    const { reply = '' } = asked('CREATE').at(-1) ?? {};
    deliver(reply.replace(/\d+$/, '*'), {
      subject: reply,
      payload: Buffer.from(JSON.stringify({ name: 'C', num_pending: pending })),
    });
    await clock.advance(0);
  };
  /** @param consumerSequence from 1 on, of the consumer that was made last */
  const chunk = async (sequence: number, consumerSequence: number): Promise<void> => {
    deliver(asked('NEXT').at(-1)?.reply ?? '', {
      reply: `$JS.ACK.S.C.1.${sequence}.${consumerSequence}.0.0`,
      payload: Buffer.of(sequence),
    });
    await clock.advance(0);
  };
  return { clock, asked, digest, answer, chunk };
}

test('asks for as many chunks as its window has room for, and is done with the last', async () => {
  const taken: number[] = [];
  const { clock, asked, digest, answer, chunk } = read({
    write: (_, bytes) => void taken.push(...bytes),
  });
  await clock.advance(0);
  await answer(3);
  expect(asked('NEXT').map(({ body }) => body.batch)).toEqual([2]);
  await chunk(11, 1);
  expect(asked('NEXT').map(({ body }) => body.batch)).toEqual([2, 1]);
  await chunk(12, 2);
  await chunk(15, 3);
  expect(await digest).toMatch(/^SHA-256=/);
  expect([taken, clock.pending]).toEqual([[11, 12, 15], 0]);
});

test('asks for another consumer where none answers, or none is heard of any more', async () => {
  const { clock, asked, answer, chunk } = read();
  await clock.advance(2200);
  expect(asked('CREATE')).toHaveLength(2);
  await answer(3);
  await chunk(11, 1);
  await clock.advance(2200);
  expect(asked('CREATE').map(({ body }) => body.config?.opt_start_seq)).toEqual([
    undefined,
    undefined,
    12,
  ]);
});

test('begins after the last chunk where one was lost', async () => {
  const { clock, asked, digest, answer, chunk } = read();
  await clock.advance(0);
  await answer(3);
  await chunk(11, 1);
  await chunk(15, 3);
  expect(asked('CREATE').at(-1)?.body.config?.opt_start_seq).toBe(12);
  await answer(2);
  await chunk(12, 1);
  await chunk(15, 2);
  await digest;
});

test('fails where chunks are missing', async () => {
  const { clock, digest, answer } = read();
  await clock.advance(0);
  await answer(2);
  await expect(digest).rejects.toMatchObject({
    code: 'OBJECT_CORRUPT',
    message: expect.stringContaining('2 of its 3 chunks'),
  });
});

test('gives up when its sink waits for too long, and not while its sink is busy', async () => {
  let finish: () => void = () => undefined;
  const { clock, digest, answer, chunk } = read({
    write: () =>
      new Promise((resolve) => {
        finish = resolve;
      }),
  });
  await clock.advance(0);
  await answer(3);
  await chunk(11, 1);
  await clock.advance(20_000);
  finish();
  await clock.advance(4900);
  let failed = false;
  digest.catch(() => {
    failed = true;
  });
  await clock.advance(0);
  expect(failed).toBe(false);
  await clock.advance(300);
  await expect(digest).rejects.toMatchObject({ code: 'OBJECT_STALLED' });
  expect(clock.pending).toBe(0);
});
