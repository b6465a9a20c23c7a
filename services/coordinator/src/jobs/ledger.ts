import type { JsonValue } from '@bufbuild/protobuf';
import {
  isNatsError,
  modifyFenced,
  type LogWriter,
  type NumberedLog,
  type RecordStore,
  type Versioned,
} from '@emloc/nats';

import { toEventJson, type EventContent } from './events.js';
import { jobKey, type JobRecord, type JobState } from './record.js';
import { trimOutbox, type Transition } from './transitions.js';

/** What stands in a job's log. */
export interface LogEntry {
  /** Changes of the record whose events the log has, this one included. */
  readonly transition: number;
  /** A JobEvent as JSON, without its sequence. */
  readonly event: JsonValue;
}

/**
 * A job in the leader's hands: it alone writes events, and changes of the record come with theirs.
 * Calls are done one after the other.
 */
export interface JobLedger {
  /** As it was last written or read here. */
  readonly record: JobRecord;
  /**
   * Changes the record, then moves its events to the log.
   * @throws NatsError LEASE_LOST when another leads by now
   */
  change(transition: Transition): Promise<JobRecord>;
  /** Adds an event that no change of the record comes with. @throws NatsError LEASE_LOST */
  append(event: EventContent): Promise<void>;
}

export interface LedgerOptions {
  readonly store: RecordStore<JobRecord>;
  readonly log: NumberedLog<LogEntry>;
  /** The leader's. */
  readonly token: number;
  /**
   * Told of every write, with the state that the job was in before it: an index that watches the
   * store may know of the write already.
   */
  readonly onWritten?: (record: Versioned<JobRecord>, before: JobState) => void;
  readonly now?: () => Date;
}

/**
 * Takes a job over: whoever led before can neither change its record nor append to its log from
 * here on, and what it left unsaid is said.
 * @throws NatsError LEASE_LOST, RECORD_NOT_FOUND
 */
export async function openLedger(
  { tenant, id }: Pick<JobRecord, 'tenant' | 'id'>,
  options: LedgerOptions,
): Promise<JobLedger> {
  const { value } = await modifyFenced(
    options.store,
    jobKey(tenant, id),
    options.token,
    (record) => record,
  );
  const ledger = new LogBackedLedger(value, await options.log.openWriter(id), options);
  await ledger.change((record) => record);
  return ledger;
}

class LogBackedLedger implements JobLedger {
  #tail: Promise<unknown> = Promise.resolve();

  constructor(
    public record: JobRecord,
    private writer: LogWriter<LogEntry>,
    private readonly options: LedgerOptions,
  ) {}

  change(transition: Transition): Promise<JobRecord> {
    return this.#inTurn(async () => {
      const { store, token, now = () => new Date(), onWritten } = this.options;
      let before = this.record.state;
      const written = await modifyFenced(store, this.#key, token, (record) => {
        before = record.state;
        const next = transition(record, now());
        return next === record
          ? record
          : trimOutbox(next, { transition: this.#logged, sequence: this.writer.last?.number ?? 0 });
      });
      this.record = written.value;
      onWritten?.(written, before);
      for (const { transition: number, event } of written.value.outbox) {
        if (number > this.#logged) await this.#append({ transition: number, event }, true);
      }
      return written.value;
    });
  }

  append(event: EventContent): Promise<void> {
    return this.#inTurn(async () => {
      const { now = () => new Date() } = this.options;
      await this.#append({ transition: this.#logged, event: toEventJson(event, now()) }, false);
    });
  }

  get #key(): string {
    return jobKey(this.record.tenant, this.record.id);
  }

  get #logged(): number {
    return this.writer.last?.event.transition ?? 0;
  }

  /** @param isChange whether the entry is known by its transition, so that it is there only once */
  async #append(entry: LogEntry, isChange: boolean): Promise<void> {
    try {
      await this.writer.append(entry);
    } catch (error) {
      if (!isNatsError(error, 'LEASE_LOST')) throw error;
      // The leader before this one may have been in the middle of an append when it was deposed;
      // after that it cannot go on.
      await modifyFenced(this.options.store, this.#key, this.options.token, (record) => record);
      this.writer = await this.options.log.openWriter(this.record.id);
      if (isChange && entry.transition <= this.#logged) return;
      await this.writer.append({ ...entry, transition: Math.max(entry.transition, this.#logged) });
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}
