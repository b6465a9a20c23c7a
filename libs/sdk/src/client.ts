import { randomUUID } from 'node:crypto';
import { at } from '@emloc/checked';
import { JobService, type PlainTuneOptions } from '@emloc/contracts';
import type { CallOptions as RpcCallOptions, RpcChannel } from '@emloc/rpc';

import { placeArtifacts } from './artifact-paths.js';
import type {
  CallOptions,
  CreateJobOptions,
  DeleteJobOptions,
  DownloadJobOptions,
  DownloadOptions,
  ListJobsOptions,
  StreamOptions,
  UploadOptions,
  WaitOptions,
  WatchOptions,
} from './call-options.js';
import { downloadToFolder } from './download-folder.js';
import { downloadToFile, readChecked } from './download.js';
import { EmlocError, isEmlocError, jobFailed, toEmlocError } from './errors.js';
import { fromArtifact, fromJob, fromPlan, toDtype, toOptionsMessage } from './from-message.js';
import { limitsOf, openChannel, type ConnectOptions, type Limits } from './options.js';
import { Resumption } from './resumption.js';
import { contentOf, upload, type UploadedSource } from './upload.js';
import type { Artifact, Dataset, Job, JobEvent, JobPlan, JobsPage } from './values.js';
import { watchEvents, type JobCalls } from './watch.js';

/**
 * Opens a client of a deployment. The connection is made with the first call.
 * @throws EmlocError SDK_OPTION_INVALID
 */
export function connect(options: ConnectOptions): EmlocClient {
  const limits = limitsOf(options);
  return new EmlocClient(openChannel(options, limits), limits);
}

/**
 * A deployment's jobs, as plain values and EmlocErrors. Calls are repeated, with growing pauses,
 * after errors that may go away: creating and cancelling too, since repeating them changes nothing.
 */
export class EmlocClient implements AsyncDisposable {
  readonly #channel: RpcChannel;
  readonly #limits: Limits;
  readonly #calls: JobCalls;
  readonly #closing = new AbortController();
  /** A call has succeeded: a server that does not answer now is away, not missing. */
  #wasReached = false;

  /** Made by `connect`. */
  constructor(channel: RpcChannel, limits: Limits) {
    this.#channel = channel;
    this.#limits = limits;
    this.#calls = channel.client(JobService);
  }

  /** Queues a job; with a method that is left to the deployment, once that has planned. */
  createJob(
    { options, displayName = '', merge = null, requestId = randomUUID() }: CreateJobOptions,
    call: CallOptions = {},
  ): Promise<Job> {
    return this.#run(async () => {
      const job = {
        displayName,
        options: toOptionsMessage(options),
        ...(merge ? { merge: { dtype: toDtype(merge.dtype ?? null) } } : {}),
      };
      const mayPlan = options.method === 'auto' || options.method === 'emulator';
      const timeoutMs = call.timeoutMs ?? (mayPlan ? this.#limits.planTimeoutMs : undefined);
      const limited = this.#options({ ...call, timeoutMs });
      return fromJob(await this.#calls.createJob({ job, requestId }, limited));
    });
  }

  /** A job as it is now. @param name `jobs/{job}` */
  getJob(name: string, call: CallOptions = {}): Promise<Job> {
    return this.#run(async () => fromJob(await this.#calls.getJob({ name }, this.#options(call))));
  }

  /**
   * All jobs that a filter lets through, the newest first; pages are fetched as they are needed.
   */
  async *listJobs(options: ListJobsOptions = {}): AsyncGenerator<Job, void, undefined> {
    let pageToken: string | null = '';
    while (pageToken !== null) {
      const page: JobsPage = await this.listJobsPage({ ...options, pageToken });
      yield* page.jobs;
      pageToken = page.nextPageToken;
    }
  }

  /** One page. @param options.pageToken of the page before; every other option as it was then */
  listJobsPage({
    filter = '',
    pageSize = 0,
    pageToken = '',
    ...call
  }: ListJobsOptions & { readonly pageToken?: string } = {}): Promise<JobsPage> {
    return this.#run(async () => {
      const { jobs, nextPageToken } = await this.#calls.listJobs(
        { filter, pageSize, pageToken },
        this.#options(call),
      );
      return {
        jobs: jobs.map(fromJob),
        nextPageToken: nextPageToken === '' ? null : nextPageToken,
      };
    });
  }

  /** Asks a job to stop, and returns it as it is then: perhaps still `cancelling`. */
  cancelJob(name: string, call: CallOptions = {}): Promise<Job> {
    return this.#run(async () =>
      fromJob(await this.#calls.cancelJob({ name }, this.#options(call))),
    );
  }

  /** Deletes a job that is over, with its events and artifacts. */
  deleteJob(name: string, { allowMissing = false, ...call }: DeleteJobOptions = {}): Promise<void> {
    return this.#run(
      async () => void (await this.#calls.deleteJob({ name, allowMissing }, this.#options(call))),
    );
  }

  /**
   * Every event of a job after `afterSequence`, once and in order, past ones first, then as they
   * happen; ends after that of the final state. Broken connections are made again.
   */
  watchJob(
    name: string,
    { afterSequence = 0, ...options }: WatchOptions = {},
  ): AsyncGenerator<JobEvent, void, undefined> {
    return this.#stream(
      watchEvents(
        {
          ...{ calls: this.#calls, name, wasReached: this.#wasReached },
          ...this.#resumable(options),
        },
        afterSequence,
      ),
    );
  }

  /**
   * A job once it has succeeded. @throws EmlocError SDK_JOB_FAILED with stage, layer and reason of
   * the failure, SDK_JOB_CANCELLED
   */
  async waitForJob(name: string, { onEvent, ...options }: WaitOptions = {}): Promise<Job> {
    for await (const event of this.watchJob(name, options)) onEvent?.(event);
    const job = await this.getJob(name, { signal: options.signal });
    if (job.state === 'succeeded') return job;
    if (job.state === 'cancelled')
      throw new EmlocError('SDK_JOB_CANCELLED', `${name} was cancelled`);
    if (job.state === 'failed') throw jobFailed(name, job.error);
    throw new EmlocError('SDK_JOB_UNFINISHED', `${name} is ${job.state} after its last event`);
  }

  /** All files that a job has made. */
  async *listArtifacts(
    name: string,
    call: CallOptions = {},
  ): AsyncGenerator<Artifact, void, undefined> {
    let pageToken: string | null = '';
    while (pageToken !== null) {
      const token: string = pageToken;
      const page = await this.#run(() =>
        this.#calls.listArtifacts({ parent: name, pageToken: token }, this.#options(call)),
      );
      yield* page.artifacts.map(fromArtifact);
      pageToken = page.nextPageToken === '' ? null : page.nextPageToken;
    }
  }

  /**
   * The bytes of an artifact from `offset` on, for any sink. Read from the start, they end in
   * SDK_DOWNLOAD_CORRUPT when their hash is not the announced one: what was read is worth something
   * only once the iteration has ended.
   */
  readArtifact(
    artifact: Artifact,
    { offset = 0, ...options }: StreamOptions & { readonly offset?: number } = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#stream(
      readChecked({ calls: this.#calls, artifact, ...this.#resumable(options) }, offset),
    );
  }

  /**
   * Writes an artifact to a file, whole or not at all, with its hash checked. What has arrived is
   * kept in `FILE.part`, where the next call goes on, also after a restart. @param artifact one of
   * `listArtifacts`, or its name
   */
  downloadArtifact(
    artifact: Artifact | string,
    file: string,
    { overwrite = false, onProgress, ...options }: DownloadOptions = {},
  ): Promise<void> {
    return this.#run(async () => {
      const found =
        typeof artifact === 'string' ? await this.#findArtifact(artifact, options) : artifact;
      await downloadToFile(
        { calls: this.#calls, artifact: found, ...this.#resumable(options) },
        { file, overwrite, onProgress },
      );
    });
  }

  /**
   * Writes the adapter of a job that has succeeded, as `emloc tune` does (PEFT's layout,
   * `emloc.json`, `uncorrected/`), or its merged checkpoint, into a folder, whole or not at all.
   * What has arrived is kept in `FOLDER.part`, where the next call goes on.
   */
  downloadJob(
    name: string,
    folder: string,
    { part = 'adapter', overwrite = false, onProgress, ...options }: DownloadJobOptions = {},
  ): Promise<void> {
    return this.#run(async () => {
      const { state } = await this.getJob(name, { signal: options.signal });
      if (state !== 'succeeded')
        throw new EmlocError(
          'SDK_JOB_UNFINISHED',
          `${name} is ${state}: there is no result to download`,
        );
      const artifacts: Artifact[] = [];
      for await (const artifact of this.listArtifacts(name, { signal: options.signal }))
        artifacts.push(artifact);
      const files = placeArtifacts(artifacts, { job: name, part });
      await downloadToFolder(
        { calls: this.#calls, files, ...this.#resumable(options) },
        { folder, overwrite, onProgress },
      );
    });
  }

  /**
   * Stores data for jobs to come: `{ dataset: NAME }` is what their options take. The same bytes
   * give the same data set. A folder, or files under names of their own, become one tar archive:
   * pictures with their captions, or `rows.jsonl` with the images that it names.
   */
  uploadDataset(
    source: UploadedSource,
    { displayName, onProgress, ...options }: UploadOptions = {},
  ): Promise<Dataset> {
    return this.#run(() => {
      const content = contentOf(source);
      return upload({
        calls: this.#calls,
        content,
        displayName: displayName ?? content.name,
        onProgress,
        ...this.#resumable(options),
      });
    });
  }

  /** Memory and time of a job that is not run. */
  planJob(options: PlainTuneOptions, call: CallOptions = {}): Promise<JobPlan> {
    return this.#run(async () => {
      const timeoutMs = call.timeoutMs ?? this.#limits.planTimeoutMs;
      return fromPlan(
        await this.#calls.planJob(
          { options: toOptionsMessage(options) },
          this.#options({ ...call, timeoutMs }),
        ),
      );
    });
  }

  /** Calls in progress end with SDK_CLOSED, and so do later ones. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(closed());
    this.#channel.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  async #findArtifact(name: string, { signal }: CallOptions): Promise<Artifact> {
    const parent = at(name.split('/artifacts/'), 0);
    for await (const artifact of this.listArtifacts(parent, { signal }))
      if (artifact.name === name) return artifact;
    throw new EmlocError('SDK_ARTIFACT_MISSING', `${parent} has no artifact ${name}`);
  }

  #options({ signal, timeoutMs }: CallOptions): RpcCallOptions {
    return { signal: this.#signalOf(signal), timeoutMs };
  }

  #signalOf(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([this.#closing.signal, signal]) : this.#closing.signal;
  }

  #resumable({ signal: given, onInterruption }: StreamOptions): {
    signal: AbortSignal;
    resumption: Resumption;
  } {
    const signal = this.#signalOf(given);
    const { retry, patienceMs } = this.#limits;
    const onBroken =
      onInterruption && ((error: Error) => onInterruption(toEmlocError(error) as Error));
    return {
      signal,
      resumption: new Resumption({ retry, patienceMs, signal, onInterruption: onBroken }),
    };
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    try {
      this.#closing.signal.throwIfAborted();
      const result = await work();
      this.#wasReached = true;
      return result;
    } catch (error) {
      throw this.#translated(error);
    }
  }

  async *#stream<T>(items: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
    try {
      this.#closing.signal.throwIfAborted();
      yield* items;
    } catch (error) {
      throw this.#translated(error);
    }
  }

  #translated(error: unknown): unknown {
    if (this.#closing.signal.aborted && !isEmlocError(error)) return closed();
    return toEmlocError(error);
  }
}

function closed(): EmlocError {
  return new EmlocError('SDK_CLOSED', 'the client was closed');
}
