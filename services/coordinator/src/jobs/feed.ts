import type { NumberedEvent, NumberedLog } from '@emloc/nats';

import type { LogEntry } from './ledger.js';

type Event = NumberedEvent<LogEntry>;

/** Newest events of a job that are kept in memory while somebody watches it. */
const ringEvents = 256;
/** Events that a watcher reads from the log at once. */
const batchEvents = 128;

/**
 * Events of jobs for any number of watchers. One reader of the log per process serves those that
 * keep up, from memory; one that is behind reads from the log at its own speed. What waits for a
 * watcher is bounded, and none waits for another.
 */
export class JobFeed {
  readonly #topics = new Map<string, Topic>();

  constructor(private readonly log: NumberedLog<LogEntry>) {}

  /** Follows the log until `signal` aborts. */
  async start(signal: AbortSignal): Promise<void> {
    const tail = await this.log.tail(signal);
    void this.#distribute(tail);
  }

  /**
   * Events of a job after a sequence number, then those to come.
   * @param signal its reason is thrown when it aborts
   */
  async *follow(
    job: string,
    afterSequence: number,
    signal: AbortSignal,
  ): AsyncGenerator<Event, void, undefined> {
    const topic = this.#enter(job);
    let last = { number: afterSequence, position: 0 };
    let isCaughtUp = false;
    try {
      for (;;) {
        signal.throwIfAborted();
        let batch = topic.after(last.number);
        if (batch.length === 0 && isCaughtUp && topic.newest <= last.number) {
          await topic.changed(signal);
          continue;
        }
        if (batch.length === 0) {
          const { position } = last;
          batch = await topic.read(position, () => this.log.read(job, position, batchEvents));
          isCaughtUp = batch.length < batchEvents;
        }
        for (const event of batch) {
          if (event.number > last.number) yield event;
          last = { number: Math.max(last.number, event.number), position: event.position };
        }
      }
    } finally {
      this.#leave(job, topic);
    }
  }

  /** Watchers at the moment. */
  get watchers(): number {
    return [...this.#topics.values()].reduce((sum, topic) => sum + topic.watchers, 0);
  }

  async #distribute(tail: AsyncIterable<Event>): Promise<void> {
    for await (const event of tail) this.#topics.get(event.topic)?.push(event);
  }

  #enter(job: string): Topic {
    const topic = this.#topics.get(job) ?? new Topic();
    this.#topics.set(job, topic);
    topic.watchers += 1;
    return topic;
  }

  #leave(job: string, topic: Topic): void {
    topic.watchers -= 1;
    if (topic.watchers === 0) this.#topics.delete(job);
  }
}

class Topic {
  watchers = 0;
  newest = 0;
  #ring: Event[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #reading = new Map<number, Promise<readonly Event[]>>();

  push(event: Event): void {
    if (event.number <= this.newest) return;
    if (event.number !== this.newest + 1) this.#ring = [];
    this.#ring.push(event);
    if (this.#ring.length > ringEvents) this.#ring.shift();
    this.newest = event.number;
    for (const wake of [...this.#waiting]) wake();
  }

  /** Events from the one after `number` on, as far as they are here. */
  after(number: number): readonly Event[] {
    const first = this.#ring.at(0)?.number;
    return first === undefined || number + 1 < first ? [] : this.#ring.slice(number + 1 - first);
  }

  /**
   * Watchers that come together read the log once: what is appended meanwhile reaches all by
   * `push`.
   */
  read(position: number, read: () => Promise<readonly Event[]>): Promise<readonly Event[]> {
    const underWay = this.#reading.get(position);
    if (underWay) return underWay;
    const started = read().finally(() => this.#reading.delete(position));
    this.#reading.set(position, started);
    return started;
  }

  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
