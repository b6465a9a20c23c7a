import { isNatsError, type RecordStore, type Versioned } from '@emloc/nats';
import type { Logger } from '@emloc/service';
import type { Metrics } from '@emloc/telemetry';
import { sleep, systemClock } from '@emloc/time';

import { abandonJob, driveJob, type JobDrive } from './drive/drive-job.js';
import type { JobIndex, JobSummary } from './jobs/job-index.js';
import { openLedger, type JobLedger, type LedgerOptions } from './jobs/ledger.js';
import { isFinal, jobStates, stageNames, type JobRecord, type JobState } from './jobs/record.js';
import { isToBeRemoved } from './removal.js';
import { chooseNext } from './schedule/fair.js';

export interface LeaderOptions extends Pick<
  JobDrive,
  'services' | 'settings' | 'outcome' | 'discardWork'
> {
  readonly index: JobIndex;
  readonly store: RecordStore<JobRecord>;
  readonly log: LedgerOptions['log'];
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly maxRunning: number;
  /** Removes what is stored of a job. @throws NatsError RECORD_NOT_FOUND */
  readonly removeJob: (job: JobSummary) => Promise<void>;
  /** Jobs whose stages have left anything to each other. */
  readonly jobsWithWork: () => Promise<ReadonlySet<string>>;
  /** Removes what is old and that nothing refers to. */
  readonly tidy: () => Promise<void>;
  /** How long jobs that are over are kept; 0: for ever. */
  readonly jobRetentionMs: number;
  readonly token: number;
  /** The lease is lost, or the process ends. */
  readonly stop: AbortSignal;
}

interface Driven {
  readonly tenant: string;
  /** Whether it takes one of the places for running jobs. */
  readonly takesPlace: boolean;
  readonly cancel: AbortController;
}

const crashLimit = 5;
const crashPauseMs = 1000;
const announcers = 4;
/**
 * The first when a stage has mostly ended, the second on a busy machine, the last when one that did
 * not end has been abandoned.
 */
const sweepDelaysMs = [2000, 8000, 20_000, 60_000] as const;
const removers = 4;
const removalCheckMs = { most: 60_000, least: 100 };

/**
 * Schedules and drives all jobs until `stop` aborts; resolves when nothing is driven any more.
 * @throws what made it give up leading
 */
export async function leadJobs(options: LeaderOptions): Promise<void> {
  const leader = new Leader(options);
  await leader.run();
}

class Leader {
  readonly #driven = new Map<string, Driven>();
  readonly #ledgers = new Map<string, Promise<JobLedger>>();
  readonly #announcing = new Set<string>();
  /** Jobs that are being removed, and those that are but are still in the index. */
  readonly #removed = new Map<string, 'working' | 'done'>();
  readonly #tasks = new Set<Promise<void>>();
  #isTidying = false;
  readonly #ended = new AbortController();
  readonly #stop: AbortSignal;
  #wake: () => void = () => undefined;

  constructor(private readonly options: LeaderOptions) {
    this.#stop = AbortSignal.any([options.stop, this.#ended.signal]);
  }

  async run(): Promise<void> {
    this.#countFromZero();
    const forget = this.options.index.onChange(() => this.#wake());
    const { jobRetentionMs } = this.options;
    const checks = systemClock.every(
      Math.max(
        removalCheckMs.least,
        Math.min(removalCheckMs.most, jobRetentionMs || removalCheckMs.most),
      ),
      () => {
        this.#wake();
        this.#tidy();
      },
      { holdsProcess: false },
    );
    this.#stop.addEventListener('abort', () => this.#wake(), { once: true });
    // The leader before may have ended before it did so.
    void this.#sweepLater(this.options.jobsWithWork);
    try {
      while (!this.#stop.aborted) {
        const changed = new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#tick();
        await changed;
      }
    } finally {
      checks.end();
      forget();
      this.#ended.abort();
      await Promise.allSettled(this.#tasks);
    }
    if (!this.options.stop.aborted) this.#ended.signal.throwIfAborted();
  }

  #tick(): void {
    const jobs = [...this.options.index.all()];
    for (const job of jobs) if (!job.settled) this.#attend(job);
    this.#removeOld(jobs);
    const queued = jobs.filter(({ id, state }) => state === 'QUEUED' && !this.#driven.has(id));
    const lastStart = lastStarts(jobs);
    for (;;) {
      const next = chooseNext({
        jobs: queued,
        running: [...this.#driven.values()].filter(({ takesPlace }) => takesPlace),
        lastStart,
        maxRunning: this.options.maxRunning,
      });
      const job = next && queued.find(({ id }) => id === next.id);
      if (!job) return;
      queued.splice(queued.indexOf(job), 1);
      lastStart.set(job.tenant, new Date().toISOString());
      this.#drive(job, true);
    }
  }

  /**
   * What a job needs besides a place: to be gone on with, cancelled, brought to its end, or told
   * of.
   */
  #attend(job: JobSummary): void {
    const driven = this.#driven.get(job.id);
    if (job.state === 'CANCELLING') driven?.cancel.abort(new Error('the job was cancelled'));
    if (driven) return;
    if (job.state === 'RUNNING') this.#drive(job, true);
    else if (job.state !== 'QUEUED') this.#drive(job, false);
    else if (job.lastEventSequence === 0 && !this.#ledgers.has(job.id)) this.#announce(job);
  }

  #removeOld(jobs: readonly JobSummary[]): void {
    const rule = { nowMs: Date.now(), retentionMs: this.options.jobRetentionMs };
    const old = jobs.filter((job) => !this.#driven.has(job.id) && isToBeRemoved(job, rule));
    const ids = new Set(old.map(({ id }) => id));
    for (const [id, state] of this.#removed)
      if (state === 'done' && !ids.has(id)) this.#removed.delete(id);
    for (const job of old) this.#remove(job);
  }

  #remove(job: JobSummary): void {
    const working = [...this.#removed.values()].filter((state) => state === 'working').length;
    if (working >= removers || this.#removed.has(job.id)) return;
    this.#removed.set(job.id, 'working');
    const removed = this.options.removeJob(job).then(
      () => void this.#removed.set(job.id, 'done'),
      (error: unknown) => {
        // What is left goes at the next check.
        this.#removed.delete(job.id);
        if (!isNatsError(error, 'RECORD_NOT_FOUND'))
          this.options.logger.warn({ job: job.id, error }, 'removing a job failed');
      },
    );
    this.#track(
      removed.then(() => {
        if (this.#removed.has(job.id)) this.#wake();
      }),
    );
  }

  #tidy(): void {
    if (this.#isTidying || this.#stop.aborted) return;
    this.#isTidying = true;
    const tidied = this.options
      .tidy()
      .catch((error: unknown) => this.options.logger.warn({ error }, 'tidying up failed'));
    this.#track(
      tidied.finally(() => {
        this.#isTidying = false;
      }),
    );
  }

  /** Puts the first event of a waiting job into the log. */
  #announce(job: JobSummary): void {
    if (this.#announcing.size >= announcers || this.#announcing.has(job.id)) return;
    this.#announcing.add(job.id);
    const announced = this.#ledger(job).then(
      () => undefined,
      (error: unknown) => {
        if (!isNatsError(error, 'RECORD_NOT_FOUND')) throw error;
      },
    );
    this.#track(
      announced.finally(() => {
        this.#announcing.delete(job.id);
        this.#wake();
      }),
    );
  }

  #drive(job: JobSummary, takesPlace: boolean): void {
    const driven = { tenant: job.tenant, takesPlace, cancel: new AbortController() };
    this.#driven.set(job.id, driven);
    this.#track(
      this.#driveToEnd(job, driven.cancel).finally(() => {
        this.#driven.delete(job.id);
        this.#wake();
      }),
    );
  }

  async #driveToEnd(job: JobSummary, cancel: AbortController): Promise<void> {
    const { logger } = this.options;
    for (let crashes = 0; ; crashes += 1) {
      try {
        const ledger = await this.#ledger(job);
        await driveJob({ ...this.options, ledger, stop: this.#stop, cancel: cancel.signal });
        this.#ledgers.delete(job.id);
        if (ledger.record.state !== 'SUCCEEDED' && ledger.record.token > 0)
          void this.#sweepLater(async () => [job.id]);
        return;
      } catch (error) {
        if (this.#stop.aborted || isNatsError(error, 'LEASE_LOST')) throw error;
        // Somebody has deleted the job.
        if (isNatsError(error, 'RECORD_NOT_FOUND')) return;
        logger.error({ job: job.id, error }, 'driving a job failed');
        if (crashes >= crashLimit) await abandonJob(await this.#ledger(job), error);
        else await sleep(crashPauseMs, { signal: this.#stop });
      }
    }
  }

  /** A stage that was told to stop may have stored something after its job's work was discarded. */
  async #sweepLater(jobs: () => Promise<Iterable<string>>): Promise<void> {
    for (const delayMs of sweepDelaysMs) {
      try {
        await sleep(delayMs, { signal: this.#stop, holdsProcess: false });
        for (const job of await jobs())
          if (!(await this.#isLive(job))) await this.options.discardWork(job);
      } catch {
        if (this.#stop.aborted) return; // Another leads, and looks for it.
        // The storage is away: the next time.
      }
    }
  }

  /** The request of a job that was deleted may have made it anew. */
  async #isLive(job: string): Promise<boolean> {
    const { index, store } = this.options;
    const known = index.get(job);
    if (known) return !isFinal(known.state);
    return (await store.list(`*.${job}`)).some(({ value }) => !isFinal(value.state));
  }

  #ledger(job: JobSummary): Promise<JobLedger> {
    const known = this.#ledgers.get(job.id);
    if (known) return known;
    const { store, log, token } = this.options;
    const opened = openLedger(job, {
      store,
      log,
      token,
      onWritten: (record, before) => this.#written(record, before),
    });
    this.#ledgers.set(job.id, opened);
    opened.catch(() => this.#ledgers.delete(job.id));
    return opened;
  }

  #written(record: Versioned<JobRecord>, before: JobState): void {
    this.options.index.apply(record);
    if (before !== record.value.state) this.#count(record.value, before);
  }

  /** Counters that are not there before they count hide their first increment. */
  #countFromZero(): void {
    const { jobTransitions, stageRetries } = this.options.metrics;
    for (const state of jobStates) jobTransitions.add({ state: state.toLowerCase() }, 0);
    for (const stage of stageNames) stageRetries.add({ stage }, 0);
  }

  #count({ state, startTime, endTime }: JobRecord, before: JobState): void {
    const { jobTransitions, jobDuration } = this.options.metrics;
    jobTransitions.add({ state: state.toLowerCase() });
    if (!isFinal(state) || isFinal(before) || startTime === null || endTime === null) return;
    jobDuration.observe(
      { outcome: state.toLowerCase() },
      (Date.parse(endTime) - Date.parse(startTime)) / 1000,
    );
  }

  /** A task that fails ends the leading. */
  #track(task: Promise<void>): void {
    const tracked = task
      .catch((error: unknown) => this.#ended.abort(error))
      .finally(() => this.#tasks.delete(tracked));
    this.#tasks.add(tracked);
  }
}

function lastStarts(jobs: Iterable<JobSummary>): Map<string, string> {
  const last = new Map<string, string>();
  for (const { tenant, startTime } of jobs) {
    if (startTime !== null && startTime > (last.get(tenant) ?? '')) last.set(tenant, startTime);
  }
  return last;
}
