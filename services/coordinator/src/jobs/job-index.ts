import type { Lane, RecordStore, Versioned } from '@emloc/nats';
import { Backoff, type BackoffPolicy } from '@emloc/time';

import { idOfKey, jobStates, type JobRecord, type JobState, type StageName } from './record.js';

/** A job without what only its own page shows: results of stages and the emulator's layers. */
export type JobSummary = Omit<JobRecord, 'requestHash'>;

const pauses: BackoffPolicy = Object.freeze({ firstMs: 100, mostMs: 1000 });

/**
 * Every job in memory, kept up to date from the bucket of jobs; other processes' changes are there
 * a moment later.
 */
export class JobIndex {
  readonly #jobs = new Map<string, { readonly summary: JobSummary; readonly revision: number }>();
  readonly #listeners = new Set<() => void>();

  constructor(private readonly store: RecordStore<JobRecord>) {}

  /** Resolves when every job is there; follows changes until `signal` aborts. */
  async start(lane: Pick<Lane, 'onReconnect'>, signal: AbortSignal): Promise<void> {
    for (const record of await this.store.list()) this.apply(record);
    void this.#follow(lane, signal);
  }

  /** Also one that was deleted, while anything is stored of it. */
  get(id: string): JobSummary | undefined {
    return this.#jobs.get(id)?.summary;
  }

  *all(): IterableIterator<JobSummary> {
    for (const { summary } of this.#jobs.values()) yield summary;
  }

  /**
   * Takes a record that was read or written; one that is older than what is known changes nothing.
   */
  apply({ value, revision }: Pick<Versioned<JobRecord>, 'value' | 'revision'>): void {
    const known = this.#jobs.get(value.id);
    if (known && known.revision >= revision) return;
    this.#jobs.set(value.id, { summary: summaryOf(value), revision });
    for (const listener of this.#listeners) listener();
  }

  /** @returns ends it */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  countByState(): Readonly<Record<JobState, number>> {
    const counts = Object.fromEntries(jobStates.map((state) => [state, 0])) as Record<
      JobState,
      number
    >;
    for (const { state, deleteTime } of this.all())
      if (deleteTime === undefined) counts[state] += 1;
    return counts;
  }

  #remove(id: string): void {
    if (!this.#jobs.delete(id)) return;
    for (const listener of this.#listeners) listener();
  }

  /**
   * A watch of the bucket may take long to notice that the server was away, so each reconnection
   * begins another.
   */
  async #follow(lane: Pick<Lane, 'onReconnect'>, signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(pauses, { signal });
    while (!signal.aborted) {
      const restart = new AbortController();
      const forget = lane.onReconnect(() => restart.abort());
      try {
        for await (const change of this.store.watch(
          '>',
          AbortSignal.any([signal, restart.signal]),
        )) {
          backoff.succeeded();
          if (change.kind === 'put') this.apply(change);
          else this.#remove(idOfKey(change.key));
        }
      } catch {
        // The server is away; the next watch begins with everything that is there.
      }
      forget();
      if (!restart.signal.aborted) await backoff.failed();
    }
  }
}

function summaryOf({ requestHash: _hash, ...record }: JobRecord): JobSummary {
  const stages = Object.fromEntries(
    Object.entries(record.stages).map(([stage, state]) => [
      stage,
      { ...state, result: state.result === null ? null : true },
    ]),
  );
  return {
    ...record,
    stages: stages as Partial<Record<StageName, { attempts: number; result: true | null }>>,
    report: withoutLayers(record.report),
  };
}

function withoutLayers(report: JobRecord['report']): JobRecord['report'] {
  if (
    report === null ||
    typeof report !== 'object' ||
    Array.isArray(report) ||
    typeof report['emulator'] !== 'object' ||
    report['emulator'] === null
  )
    return report;
  const { layers: _layers, ...emulator } = report['emulator'] as Record<
    string,
    JobRecord['report']
  >;
  return { ...report, emulator };
}
