import { setTimeout as sleep } from 'node:timers/promises';
import { connectNats, type NatsAccess, type NatsConnection } from '@emloc/service-kit';

import type { ManagedProcess } from './managed-process.js';

export interface JetStreamWatchOptions {
  readonly everyMs: number;
  /** How long a single question may go unanswered. */
  readonly answerMs: number;
  /** How long JetStream may be silent while the server answers. */
  readonly limitMs: number;
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

/** Longer than a loaded machine may keep a server from its disk. */
const usual = Object.freeze({ everyMs: 5000, answerMs: 5000, limitMs: 45_000 });

/**
 * Ends a server whose store hangs, so that it is started again.
 * @param access to it, whatever its address
 * @param onEnd told why
 */
export async function endWhenStoreHangs(
  server: ManagedProcess,
  access: NatsAccess,
  onEnd: (line: string) => void,
): Promise<void> {
  const ended = new AbortController();
  const exited = server.exited.then(() => {
    ended.abort();
    return null;
  });
  const endpoint = await Promise.race([server.ready, exited]);
  if (!endpoint) return;
  const own = { ...access, servers: [endpoint.address] };
  if (!(await jetStreamHangs(own, { ...usual, signal: ended.signal }))) return;
  onEnd(
    'nats-server does not answer for its store, whose disk may be full: it is ended, to be started again',
  );
  server.signal('SIGKILL');
}

/**
 * `away`: the process itself does not answer, because it ends, stands still or is overloaded; that
 * says nothing of its store.
 */
type Health = 'well' | 'silent' | 'away';

/**
 * Resolves to true when a server that answers has not answered for its store for too long, and to
 * false when the watch ends. A write that fails, on a full disk say, leaves nats-server so until it
 * is started again, and not even SIGTERM ends it.
 */
export async function jetStreamHangs(
  access: NatsAccess,
  options: JetStreamWatchOptions,
): Promise<boolean> {
  const { everyMs, limitMs, signal } = options;
  const nats = await connectNats(access).catch(() => null);
  // A server that has ended since is watched when it is there again.
  if (!nats) return false;
  try {
    let wellMs = performance.now();
    while (!signal.aborted) {
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
      if ((await healthOf(nats, options)) !== 'silent') wellMs = performance.now();
      else if (performance.now() - wellMs >= limitMs && !signal.aborted) return true;
    }
    return false;
  } finally {
    await nats.close();
  }
}

async function healthOf(
  nats: NatsConnection,
  { answerMs, signal }: JetStreamWatchOptions,
): Promise<Health> {
  if (await answersForStore(nats, answerMs)) return 'well';
  if (signal.aborted) return 'away';
  return (await answers(nats, answerMs)) ? 'silent' : 'away';
}

async function answersForStore(nats: NatsConnection, timeout: number): Promise<boolean> {
  return nats.request('$JS.API.INFO', '', { timeout }).then(
    (answer) => answer.json<{ readonly error?: unknown }>().error === undefined,
    () => false,
  );
}

async function answers(nats: NatsConnection, timeoutMs: number): Promise<boolean> {
  const timer = new AbortController();
  const silence = sleep(timeoutMs, false, { signal: timer.signal }).catch(() => false);
  try {
    return await Promise.race([
      nats.rtt().then(
        () => true,
        () => false,
      ),
      silence,
    ]);
  } finally {
    timer.abort();
  }
}
