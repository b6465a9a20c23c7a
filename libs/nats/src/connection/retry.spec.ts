import { FakeClock } from '@emloc/time/testing';
import { JetStreamApiError, JetStreamError } from '@nats-io/jetstream';
import { errors } from '@nats-io/transport-node';

import { storageFullError } from '../testing/storage-full.js';
import { isStorageFull, isTransient, orUnanswered, retryTransient } from './retry.js';

const noResponders = new errors.RequestError('no responders', {
  cause: new errors.NoRespondersError('$JS.API.INFO'),
});
const answer = (code: number, err_code: number, description: string) => ({
  code,
  err_code,
  description,
});

test.each<[boolean, string, unknown]>([
  [true, 'no answer in time', new errors.TimeoutError()],
  [true, 'nobody listens yet', noResponders],
  [
    true,
    'JetStream starts',
    Object.assign(new Error('', { cause: noResponders }), { name: 'JetStreamNotEnabled' }),
  ],
  [
    true,
    'JetStream is not ready',
    new JetStreamApiError(answer(503, 10008, 'JetStream system temporarily unavailable')),
  ],
  [true, 'a server that is silent during a fetch', new JetStreamError('heartbeats missed')],
  [true, 'a server that stops during a fetch', new JetStreamError('server shutdown')],
  [true, 'a consumer that is deleted during a fetch', new JetStreamError('consumer deleted')],
  [
    true,
    'a consumer that was lost with a restart',
    new JetStreamApiError(answer(404, 10014, 'consumer not found')),
  ],
  [
    false,
    'a stream that is not there',
    new JetStreamApiError(answer(404, 10059, 'stream not found')),
  ],
  [
    false,
    'another message was stored meanwhile',
    new JetStreamApiError(answer(400, 10071, 'wrong last sequence: 3')),
  ],
  [false, 'a request that is wrong', new JetStreamError('bad request')],
  [false, 'a closed connection', new errors.ClosedConnectionError()],
  [false, 'a defect', new TypeError('x is not a function')],
])('may succeed later: %s, %s', (expected, _, error) => {
  expect(isTransient(error)).toBe(expected);
});

test('a promise that settles never counts as no answer', async () => {
  const error = await orUnanswered(new Promise(() => undefined), 10).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ message: 'nats: no answer within 10 ms' });
  expect(isTransient(error)).toBe(true);
});

describe('a request to a server that is away', () => {
  it('is repeated, ever less often, until it is answered', async () => {
    const clock = new FakeClock();
    const askedMs: number[] = [];
    const asking = retryTransient(
      async () => {
        askedMs.push(clock.now());
        if (askedMs.length < 6) throw new errors.TimeoutError();
        return 'answered';
      },
      30_000,
      clock,
    );
    await clock.advance(2000);
    expect(await asking).toBe('answered');
    expect(askedMs).toEqual([0, 100, 300, 700, 1200, 1700]);
  });

  it('fails when its time is over, and at once where repeating it cannot help', async () => {
    const clock = new FakeClock();
    const fail = (error: Error): Promise<never> =>
      retryTransient(() => Promise.reject(error), 1000, clock);
    const late = expect(fail(new errors.TimeoutError())).rejects.toThrow(errors.TimeoutError);
    await clock.advance(2000);
    await late;
    expect(clock.now()).toBe(2000);
    await expect(fail(new JetStreamError('bad request'))).rejects.toThrow('bad request');
    expect(clock.pending).toBe(0);
  });

  it('fails sooner where it has no space, and says so', async () => {
    const clock = new FakeClock();
    const full = storageFullError();
    let error: unknown;
    retryTransient(() => Promise.reject(full), 30_000, clock).catch((thrown: unknown) => {
      error = thrown;
    });
    await clock.advance(19_000);
    expect(error).toBeUndefined();
    await clock.advance(2000);
    expect(error).toBe(full);
    expect(isStorageFull(new Error('the job was not stored', { cause: error }))).toBe(true);
    expect(isStorageFull(new errors.TimeoutError())).toBe(false);
  });
});
