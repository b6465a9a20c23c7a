import type { JetStreamManager } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';

import { retryTransient } from '../connection/retry.js';

/** Until when the server forgets a consumer that only counts and could not be deleted. */
const inactiveMs = 5000;

/**
 * Finds where to start reading so that the last `remaining` messages of a subject come: between two
 * of them may be any number of others'. Asks once where they lie together before `end`, else a
 * number of times that grows with the logarithm of the distance.
 * @param countFrom how many of the messages have this stream sequence or a higher one
 * @param end a stream sequence above all of theirs
 * @returns null when there are fewer
 */
export async function startOfLast(
  remaining: number,
  end: number,
  countFrom: (sequence: number) => Promise<number>,
): Promise<number | null> {
  // Above `high` lie too few, from `low` on too many.
  let high = end;
  let low = end - remaining;
  for (let step = remaining; ; step *= 2) {
    low = Math.max(1, low);
    const count = await countFrom(low);
    if (count === remaining) return low;
    if (count > remaining) break;
    if (low === 1) return null;
    high = low;
    low -= step;
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const count = await countFrom(middle);
    if (count === remaining) return middle;
    if (count > remaining) low = middle;
    else high = middle;
  }
  return null;
}

/** Counts the messages of a subject from a stream sequence on; none of them is moved. */
export async function countFrom(
  manager: JetStreamManager,
  { stream, subject }: { readonly stream: string; readonly subject: string },
  sequence: number,
): Promise<number> {
  const consumer = await retryTransient(() =>
    manager.consumers.add(stream, {
      filter_subject: subject,
      ack_policy: 'none',
      deliver_policy: 'by_start_sequence',
      opt_start_seq: sequence,
      mem_storage: true,
      inactive_threshold: nanos(inactiveMs),
      headers_only: true,
    }),
  );
  await manager.consumers.delete(stream, consumer.name).catch(() => undefined);
  return consumer.num_pending;
}
