import { Job_State, type JobEvent, type WatchJobRequest } from '@emloc/contracts';
import type { Versioned } from '@emloc/nats';
import { invalidRequest, RpcError, type CallContext } from '@emloc/rpc';

import { fromEventJson } from '../jobs/events.js';
import type { JobFeed } from '../jobs/feed.js';
import { isFinal, type JobRecord } from '../jobs/record.js';

export interface WatchParts {
  readonly read: (name: string) => Promise<Versioned<JobRecord>>;
  readonly newestSequence: (record: JobRecord) => Promise<number>;
  readonly feed: JobFeed;
}

/**
 * A job's events until the one of its final state; ends with UNAVAILABLE when the server closes, so
 * that clients come back.
 * @throws RpcError
 */
export async function* watchJob(
  { name, afterSequence }: WatchJobRequest,
  { signal, draining }: Pick<CallContext, 'signal' | 'draining'>,
  { read, newestSequence, feed }: WatchParts,
): AsyncGenerator<JobEvent> {
  const { value: record } = await read(name);
  if (afterSequence < 0n)
    throw invalidRequest([
      { field: 'after_sequence', description: `${afterSequence} given, at least 0 is expected` },
    ]);
  const newest = BigInt(await newestSequence(record));
  if (afterSequence > newest)
    throw new RpcError(
      'OUT_OF_RANGE',
      `after_sequence: ${afterSequence} given, the newest event is ${newest}`,
      { reason: 'SEQUENCE_OUT_OF_RANGE' },
    );
  if (isFinal(record.state) && afterSequence === newest) return;
  for await (const { event, number } of feed.follow(
    record.id,
    Number(afterSequence),
    AbortSignal.any([signal, draining]),
  )) {
    const message = fromEventJson(event.event, number);
    yield message;
    if (isEnd(message)) return;
  }
}

function isEnd({ event }: JobEvent): boolean {
  return (
    event.case === 'stateChanged' &&
    [Job_State.SUCCEEDED, Job_State.FAILED, Job_State.CANCELLED].includes(event.value.state)
  );
}
