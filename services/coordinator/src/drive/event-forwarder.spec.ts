import { FakeClock } from '@emloc/time/testing';

import type { EventContent } from '../jobs/events.js';
import { EventForwarder } from './event-forwarder.js';

const step = (number: number): EventContent => ({ case: 'step', value: { step: number } });
const progress = (task: string, done: number): EventContent => ({
  case: 'progress',
  value: { task, done: BigInt(done) },
});
const notice = (message: string): EventContent => ({ case: 'notice', value: { message } });

function forwarder(intervalMs = 60_000) {
  const clock = new FakeClock();
  const sent: string[] = [];
  const errors: unknown[] = [];
  const send = async (event: EventContent): Promise<void> => {
    if (event.case === 'notice' && event.value.message === 'fail') throw new Error('away');
    sent.push(
      event.case === 'step'
        ? `step ${event.value.step}`
        : event.case === 'progress'
          ? `${event.value.task} ${event.value.done}`
          : 'notice',
    );
  };
  const onError = (error: unknown): void => void errors.push(error);
  return {
    clock,
    sent,
    errors,
    forwarder: new EventForwarder({ send, onError, intervalMs, clock }),
  };
}

test('the first of a series goes at once, the newest at the end, and notices all', async () => {
  const { sent, forwarder: forward } = forwarder();
  for (let number = 1; number <= 100; number += 1) forward.offer(step(number));
  forward.offer(notice('a'));
  forward.offer(step(101));
  forward.offer(step(102));
  forward.offer(notice('b'));
  await forward.close();
  expect(sent).toEqual(['step 1', 'step 100', 'notice', 'step 102', 'notice']);
});

test('tasks are series of their own, and what waits is sent when the interval is over', async () => {
  const { clock, sent, forwarder: forward } = forwarder(20);
  forward.offer(progress('blocks', 1));
  await clock.advance(19);
  forward.offer(progress('scoring', 1));
  forward.offer(progress('blocks', 2));
  forward.offer(progress('blocks', 3));
  await clock.advance(19);
  expect(sent).toEqual(['blocks 1', 'scoring 1']);
  await clock.advance(1);
  expect(sent).toEqual(['blocks 1', 'scoring 1', 'blocks 3']);
  await forward.close();
  expect(sent).toHaveLength(3);
});

test('the first failure is told, and nothing is sent after it', async () => {
  const { sent, errors, forwarder: forward } = forwarder();
  forward.offer(notice('fail'));
  forward.offer(notice('b'));
  await forward.close();
  expect([sent, errors]).toEqual([[], [new Error('away')]]);
});
