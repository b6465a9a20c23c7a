import { storageFullError } from '@emloc/nats/testing';
import { RpcError } from '@emloc/rpc';

import { whileStorageIsAway } from './storage-errors.js';

/** What a call is answered whose handler fails. */
async function answeredTo(error: Error): Promise<unknown> {
  const fail = (): Promise<never> => Promise.reject(error);
  const handlers = { createJob: fail } as unknown as Parameters<typeof whileStorageIsAway>[0];
  const createJob = whileStorageIsAway(handlers).createJob as unknown as typeof fail;
  return createJob().catch((thrown: unknown) => thrown);
}

test('a call that finds no space ends with STORAGE_FULL, which nobody repeats unasked', async () => {
  const full = storageFullError();
  for (const error of [full, new Error('the specification was not stored', { cause: full })])
    expect(await answeredTo(error)).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'STORAGE_FULL',
      retryDelayMs: null,
      cause: error,
    });
});

test('what a handler says itself, and what is no matter of storage, stays as it is', async () => {
  const own = new RpcError('NOT_FOUND', 'no such job', { cause: storageFullError() });
  const defect = new TypeError('x is not a function');
  expect([await answeredTo(own), await answeredTo(defect)]).toEqual([own, defect]);
});
