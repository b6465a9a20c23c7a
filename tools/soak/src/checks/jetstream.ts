import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@emloc/nats';

/** A stream as the server describes it. */
export interface StreamState {
  readonly name: string;
  readonly consumers: number;
  /**
   * When those of them were made that nobody listens to or asks, and that the server ends by itself
   * in time.
   */
  readonly abandoned: readonly Date[];
  readonly messages: number;
  readonly bytes: number;
  /** Messages by subject. */
  readonly subjects: Readonly<Record<string, number>>;
}

/** The newest message of a subject. */
export interface StoredMessage {
  readonly time: Date;
  readonly text: string;
  /** Bytes of its payload. */
  readonly size: number;
  /** Whether it only says that the record was deleted. */
  readonly isTombstone: boolean;
}

const pauseMs = 250;
const attempts = 120;
const noMessage = 10037;
const noStream = 10059;

interface Answer {
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

/**
 * Asks JetStream's interface itself, so that what the product's own libraries overlook is seen.
 * Asks again while the server is away. @returns null: there is no such stream or message
 */
async function ask<T extends Answer>(
  nats: NatsConnection,
  call: string,
  body: unknown,
): Promise<T | null> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = (
        await nats.request(`$JS.API.${call}`, JSON.stringify(body), { timeout: 5000 })
      ).json<T>();
      const { error } = answer;
      if (!error) return answer;
      if (error.err_code === noMessage || error.err_code === noStream) return null;
      throw new Error(`JetStream: ${call}: ${error.description}`);
    } catch (error) {
      if (attempt === attempts) throw error;
      await sleep(pauseMs);
    }
  }
}

/** Whether the server takes requests for its store now. */
export async function hasJetStream(nats: NatsConnection): Promise<boolean> {
  return nats.request('$JS.API.INFO', '', { timeout: 2000 }).then(
    (answer) => answer.json<Answer>().error === undefined,
    () => false,
  );
}

export async function listStreams(nats: NatsConnection): Promise<StreamState[]> {
  const names = await ask<Answer & { readonly streams: string[] | null }>(nats, 'STREAM.NAMES', {});
  const states = await Promise.all((names?.streams ?? []).map((name) => streamState(nats, name)));
  return states.filter((state) => state !== null);
}

async function streamState(nats: NatsConnection, name: string): Promise<StreamState | null> {
  const info = await ask<
    Answer & {
      readonly state: {
        readonly consumer_count: number;
        readonly messages: number;
        readonly bytes: number;
        readonly subjects?: Readonly<Record<string, number>>;
      };
    }
  >(nats, `STREAM.INFO.${name}`, { subjects_filter: '>' });
  if (!info) return null;
  const { consumer_count: consumers, messages, bytes, subjects = {} } = info.state;
  const abandoned = consumers === 0 ? [] : await listAbandoned(nats, name);
  return { name, consumers, abandoned, messages, bytes, subjects };
}

/** The longest that the client library gives a consumer of its own. */
const longestIdleNs = 300_000_000_000;

/** As the server lists a consumer. */
export interface ConsumerState {
  /** RFC 3339. */
  readonly created: string;
  readonly config: { readonly inactive_threshold?: number };
  /** Whether somebody listens where it delivers. */
  readonly push_bound?: boolean;
  /** Requests for messages that wait. */
  readonly num_waiting?: number;
}

/** Whether a consumer waits for nothing but its end. */
export function isAbandoned({
  config,
  push_bound,
  num_waiting = 0,
}: Omit<ConsumerState, 'created'>): boolean {
  const { inactive_threshold: idleNs = 0 } = config;
  return idleNs > 0 && idleNs <= longestIdleNs && push_bound !== true && num_waiting === 0;
}

async function listAbandoned(nats: NatsConnection, stream: string): Promise<Date[]> {
  // One that goes while the server lists it is null there.
  type List = Answer & { readonly consumers: readonly (ConsumerState | null)[] | null };
  const list = await ask<List>(nats, `CONSUMER.LIST.${stream}`, { offset: 0 });
  return (list?.consumers ?? [])
    .filter((consumer) => consumer !== null)
    .filter(isAbandoned)
    .map(({ created }) => new Date(created));
}

export async function newestMessage(
  nats: NatsConnection,
  stream: string,
  subject: string,
): Promise<StoredMessage | null> {
  const found = await ask<
    Answer & {
      readonly message: { readonly data?: string; readonly hdrs?: string; readonly time: string };
    }
  >(nats, `STREAM.MSG.GET.${stream}`, { last_by_subj: subject });
  if (!found) return null;
  const { data = '', hdrs = '', time } = found.message;
  const payload = Buffer.from(data, 'base64');
  return {
    time: new Date(time),
    text: payload.toString('utf8'),
    size: payload.byteLength,
    isTombstone: /KV-Operation: (DEL|PURGE)/.test(Buffer.from(hdrs, 'base64').toString('latin1')),
  };
}
