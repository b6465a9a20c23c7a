import type { JobService } from '@emloc/contracts';
import { RpcError, type Callers, type CallOptions } from '@emloc/rpc';

import { EmlocError } from './errors.js';
import { fromEvent, fromJob } from './from-message.js';
import { throwIfCancelled, type Resumption } from './resumption.js';
import { isFinalState, type Job, type JobEvent } from './values.js';

export type JobCalls = Callers<typeof JobService, CallOptions>;

export interface WatchSource {
  readonly calls: JobCalls;
  /** `jobs/{job}` */
  readonly name: string;
  /** Whether the server has answered before. */
  readonly wasReached: boolean;
  readonly signal: AbortSignal;
  readonly resumption: Resumption;
}

/**
 * Every event after `afterSequence` once and in order, over any number of connections; ends after
 * the event of the final state, or when there is none left. The server is asked for the job before
 * every connection: so a server that is there but has nothing to say is told from one that is away.
 * @throws what no repetition can cure, and everything when the server was never reached
 */
export async function* watchEvents(
  source: WatchSource,
  afterSequence: number,
): AsyncGenerator<JobEvent> {
  const cursor = { last: afterSequence };
  let isReached = source.wasReached;
  for (;;) {
    try {
      await askForJob(source);
      isReached = true;
      if (yield* readEvents(source, cursor)) return;
      // The state may be final before its event is there: only after the end of a stream does it
      // say that nothing more comes.
      const { state, lastEventSequence } = await askForJob(source);
      if (isFinalState(state) && lastEventSequence <= cursor.last) return;
      throw new RpcError(
        'UNAVAILABLE',
        `the events of ${source.name} ended after ${cursor.last} before the job did`,
      );
    } catch (error) {
      if (!isReached) throw error;
      await source.resumption.after(error);
    }
  }
}

async function askForJob({ calls, name, signal, resumption }: WatchSource): Promise<Job> {
  const job = fromJob(await calls.getJob({ name }, { signal }));
  resumption.reached();
  return job;
}

/** The events of one connection; true: the last one was that of the final state. */
async function* readEvents(
  { calls, name, signal, resumption }: WatchSource,
  cursor: { last: number },
): AsyncGenerator<JobEvent, boolean> {
  for await (const message of calls.watchJob(
    { name, afterSequence: BigInt(cursor.last) },
    { signal },
  )) {
    // What has arrived before an abort is not waited for.
    throwIfCancelled(signal);
    const event = fromEvent(message);
    // The server may repeat what it sent just before the connection broke.
    if (event.sequence <= cursor.last) continue;
    if (event.sequence !== cursor.last + 1) {
      throw new EmlocError(
        'SDK_EVENTS_LOST',
        `${name}: event ${event.sequence} came after event ${cursor.last}`,
      );
    }
    cursor.last = event.sequence;
    resumption.progressed();
    yield event;
    if (event.type === 'state' && isFinalState(event.state)) return true;
  }
  return false;
}
