import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@emloc/service-kit';
import {
  AckPolicy,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type Consumer,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
} from '@nats-io/jetstream';

import type { TensorHeader } from '../tensor-bus.js';

/** A layer whose chunks are stored, or on their way into the store. */
export interface Announcement {
  readonly id: string;
  readonly key: string;
  readonly channel: string;
  readonly layer: number;
  readonly attributes: Readonly<Record<string, string>>;
  readonly tensors: readonly TensorHeader[];
}

const ackWaitMs = 30_000;
const nextExpiresMs = 2000;
const requestTimeoutMs = 2000;
const retryDelayMs = 200;
const maxAttempts = 50;

/** Announcements of one bus: a work-queue stream, a consumer a channel. */
export class Announcements {
  private constructor(
    private readonly stream: string,
    private readonly prefix: string,
    private readonly client: JetStreamClient,
    private readonly manager: JetStreamManager,
  ) {}

  static async open(nats: NatsConnection, name: string): Promise<Announcements> {
    const manager = await jetstreamManager(nats, { timeout: requestTimeoutMs });
    const stream = `TENSORS_${name}`;
    const prefix = `emloc.announce.${name}`;
    await manager.streams.add({
      name: stream,
      subjects: [`${prefix}.>`],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
    });
    return new Announcements(
      stream,
      prefix,
      jetstream(nats, { timeout: requestTimeoutMs }),
      manager,
    );
  }

  /** @returns takes the announcement back */
  async publish(announcement: Announcement): Promise<() => Promise<void>> {
    const { seq } = await this.#persist(() =>
      this.client.publish(`${this.prefix}.${announcement.channel}`, JSON.stringify(announcement), {
        msgID: announcement.id,
        timeout: requestTimeoutMs,
      }),
    );
    return async () => {
      await this.manager.streams.deleteMessage(this.stream, seq).catch(() => undefined);
    };
  }

  /** Announcements of a channel, until `signal` aborts. */
  async *take(channel: string, signal: AbortSignal): AsyncGenerator<JsMsg, void, undefined> {
    let consumer: Consumer | undefined;
    while (!signal.aborted) {
      try {
        consumer ??= await this.#consumer(channel);
        const message = await consumer.next({ expires: nextExpiresMs });
        if (message && signal.aborted) message.nak();
        else if (message) yield message;
      } catch {
        // The server is away: what it had handed out comes again.
        consumer = undefined;
        await sleep(retryDelayMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #consumer(channel: string): Promise<Consumer> {
    const name = channel.replaceAll('.', '__');
    await this.manager.consumers.add(this.stream, {
      durable_name: name,
      filter_subject: `${this.prefix}.${channel}`,
      ack_policy: AckPolicy.Explicit,
      ack_wait: ackWaitMs * 1_000_000,
      max_deliver: -1,
    });
    return this.client.consumers.get(this.stream, name);
  }

  async #persist<T>(operation: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await operation();
      } catch (error) {
        if (attempt === maxAttempts) throw error;
        await sleep(retryDelayMs);
      }
    }
  }
}
