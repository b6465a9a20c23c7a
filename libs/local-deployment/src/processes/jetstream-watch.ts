import { at } from '@emloc/checked';
import { closeNats, connectNats, type NatsAccess, type NatsConnection } from '@emloc/nats';
import { pause, systemClock, type Clock } from '@emloc/time';

import { greets } from './greets.js';
import type { ManagedProcess } from './managed-process.js';

export interface JetStreamWatchOptions {
  readonly everyMs: number;
  /** How long a single question may go unanswered. */
  readonly answerMs: number;
  /** How long JetStream may be silent while the server answers. */
  readonly limitMs: number;
  /** Ends the watch. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
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
  const { everyMs, limitMs, signal, clock = systemClock } = options;
  const nats = await connectNats(access).catch(() => null);
  // A server that has ended since is watched when it is there again.
  if (!nats) return false;
  const place = placeOf(at(access.servers, 0));
  // What waits for an answer then waits no longer.
  const end = (): void => void closeNats(nats);
  signal.addEventListener('abort', end, { once: true });
  try {
    let wellMs = clock.now();
    for (;;) {
      await pause(everyMs, { signal, clock });
      if (signal.aborted) return false;
      if ((await healthOf(nats, { ...options, ...place })) !== 'silent') wellMs = clock.now();
      else if (clock.now() - wellMs >= limitMs && !signal.aborted) return true;
    }
  } finally {
    signal.removeEventListener('abort', end);
    await closeNats(nats);
  }
}

interface Place {
  readonly host: string;
  readonly port: number;
}

function placeOf(server: string): Place {
  const { hostname, port } = new URL(server.includes('://') ? server : `nats://${server}`);
  return { host: hostname, port: Number(port) };
}

async function healthOf(
  nats: NatsConnection,
  { host, port, answerMs, signal }: JetStreamWatchOptions & Place,
): Promise<Health> {
  if (await answersForStore(nats, answerMs)) return 'well';
  if (signal.aborted) return 'away';
  // Not over the same connection: the server reads no more from one whose request hangs.
  return (await greets(host, port)) ? 'silent' : 'away';
}

async function answersForStore(nats: NatsConnection, timeout: number): Promise<boolean> {
  return nats.request('$JS.API.INFO', '', { timeout }).then(
    (answer) => answer.json<{ readonly error?: unknown }>().error === undefined,
    () => false,
  );
}
