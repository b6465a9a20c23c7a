import {
  AckPolicy,
  DeliverPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  type MsgRequest,
} from '@nats-io/jetstream';
import { errors, nanos, type NatsConnection } from '@nats-io/transport-node';

import { isTransient, retryTransient } from '../connection/retry.js';

/** A stream, and how it is reached. */
export interface StreamAccess {
  readonly nats: NatsConnection;
  readonly manager: JetStreamManager;
  readonly client: JetStreamClient;
  readonly stream: string;
}

const batchMessages = 256;
const batchExpiresMs = 2000;
const idleConsumerMs = 30_000;
/** Deletions on their way at once. */
const parallelDeletions = 8;
/** Looks at what is left, before a purge takes it. */
const mostRounds = 4;

/**
 * Removes the messages of a stream whose subject a filter lets through.
 * @param before only those of lower sequence
 */
export async function purgeMessages(
  access: StreamAccess,
  filter: string,
  before?: number,
): Promise<void> {
  const { nats, manager, stream } = access;
  // All messages are at or above the first; servers take a purge below it for one of everything.
  if (before !== undefined && before <= 1) return;
  if (countsPurgedAsStored(nats.info?.version)) {
    if (await deleteAll(access, filter, before).catch(unlessTransient)) return;
  }
  await retryTransient(() =>
    manager.streams.purge(stream, { filter, ...(before === undefined ? {} : { seq: before }) }),
  );
}

/**
 * The same for the few, small messages of one subject: no consumer is made, so that others may
 * remove them meanwhile without making this one wait for them.
 */
export async function purgeFewMessages(
  access: StreamAccess,
  subject: string,
  before?: number,
): Promise<void> {
  if (countsPurgedAsStored(access.nats.info?.version)) {
    if (await deleteInOrder(access, subject, before).catch(unlessTransient)) return;
  }
  await purgeMessages(access, subject, before);
}

/** What a user may not delete goes with a purge all the same. */
function unlessTransient(error: unknown): false {
  if (isTransient(error)) throw error;
  return false;
}

/**
 * Whether a server of this version counts what a purge by subject removed against its limit until
 * it is started again (nats-server pull request 3876): in the end it would store nothing any more.
 */
export function countsPurgedAsStored(version = ''): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)\./.exec(version) ?? [];
  return major !== undefined && (Number(major) < 2 || (major === '2' && Number(minor) < 10));
}

/**
 * With what is still on its way into the stream. A purge would move consumers of other subjects,
 * too: nats-server 2.9 leaves out what they had not got.
 * @returns whether none is left
 */
async function deleteAll(
  access: StreamAccess,
  filter: string,
  before = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  for (let round = 0; round < mostRounds; round += 1) {
    const all = await retryTransient(() => sequencesOf(access, filter));
    const left = all.filter((sequence) => sequence < before);
    if (left.length === 0) return true;
    await deleteMessages(access, left);
  }
  return false;
}

/** @returns whether none is left */
async function deleteInOrder(
  access: StreamAccess,
  subject: string,
  before = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  const { manager, stream } = access;
  for (let seq = 1; ;) {
    // Also a request of this kind, though the client library's type has it for direct ones alone.
    const query = { seq, next_by_subj: subject } as MsgRequest;
    const message = await retryTransient(() => manager.streams.getMessage(stream, query));
    if (!message || message.seq >= before) return true;
    // From a server that knows no such request.
    if (message.subject !== subject) return false;
    await deleteMessages(access, [message.seq]);
    seq = message.seq + 1;
  }
}

/** Removes messages one by one; those that are gone are no error. */
export async function deleteMessages(
  { manager, stream }: Pick<StreamAccess, 'manager' | 'stream'>,
  sequences: readonly number[],
): Promise<void> {
  const left = sequences.values();
  const deleting = Array.from({ length: parallelDeletions }, async () => {
    for (const sequence of left)
      await retryTransient(() => manager.streams.deleteMessage(stream, sequence, false)).catch(
        ifGone,
      );
  });
  await Promise.all(deleting);
}

/** Sequences of all messages of a subject; none of their bytes are moved. */
async function sequencesOf(
  { manager, client, stream }: StreamAccess,
  filter: string,
): Promise<number[]> {
  const { name, num_pending: pending } = await manager.consumers.add(stream, {
    filter_subject: filter,
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.All,
    inactive_threshold: nanos(idleConsumerMs),
    mem_storage: true,
    headers_only: true,
  });
  try {
    const sequences: number[] = [];
    const consumer = pending > 0 ? await client.consumers.get(stream, name) : null;
    while (consumer && sequences.length < pending) {
      const count = sequences.length;
      const batch = await consumer.fetch({
        max_messages: Math.min(batchMessages, pending - count),
        expires: batchExpiresMs,
      });
      for await (const { seq } of batch) sequences.push(seq);
      if (sequences.length === count) throw new errors.TimeoutError();
    }
    return sequences;
  } finally {
    await manager.consumers.delete(stream, name).catch(() => undefined);
  }
}

/** Another has removed it, or a first attempt whose answer was lost. */
function ifGone(error: unknown): void {
  if (!(error instanceof JetStreamApiError) || isTransient(error)) throw error;
}
