import { once } from 'node:events';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { at } from '@emloc/checked';
import {
  Job_State as State,
  type DatasetSchema,
  type DownloadArtifactResponseSchema,
  type JobService,
  type PlanJobResponseSchema,
  type UploadDatasetRequest,
} from '@emloc/contracts';
import { RpcError, type CallContext, type Handlers } from '@emloc/rpc';
import { until } from '@emloc/time/testing';

import {
  FakeJobs,
  finalStates,
  isFinal,
  sha256Of,
  type EventInit,
  type FakeJob,
} from './fake-jobs.js';
import { Faults, type Fault, type MethodName } from './faults.js';

/** Messages of a download have so many bytes. */
const partBytes = 64 * 1024;

/**
 * A job service in memory that runs nothing: a test says what happens to a job. It counts the calls
 * that reach it and does to them what `faults` has for them.
 */
export class FakeJobService extends FakeJobs implements Handlers<typeof JobService, CallContext> {
  readonly faults = new Faults();
  /** Calls of each method that have reached the service. */
  readonly counts: Partial<Record<MethodName, number>> = {};
  /** Offsets at which downloads started. */
  readonly downloadOffsets: number[] = [];
  /** Events that watchers were to begin after. */
  readonly watchedAfter: number[] = [];
  readonly datasets = new Map<
    string,
    { readonly init: MessageInitShape<typeof DatasetSchema>; readonly bytes: Uint8Array }
  >();
  plan: MessageInitShape<typeof PlanJobResponseSchema> = {};
  /** Told of every new job, so that a test can play its course. */
  onCreated: (name: string) => void = () => undefined;
  /** @param connection cuts all connections to the server, and tells how many bytes clients got */
  constructor(
    private readonly connection: { readonly cut: () => void; readonly passed: () => number },
  ) {
    super();
  }

  createJob: Handlers<typeof JobService, CallContext>['createJob'] = async (
    { job, requestId },
    context,
  ) => {
    await this.#enter('createJob', context);
    const same = [...this.jobs.values()].find((known) => known.requestId === requestId);
    if (same) return same.init;
    if (!job?.options) throw new RpcError('INVALID_ARGUMENT', 'job.options is required');
    const name = this.create(
      { displayName: job.displayName, options: job.options, merge: job.merge },
      requestId,
    );
    this.onCreated(name);
    return this.job(name);
  };

  getJob: Handlers<typeof JobService, CallContext>['getJob'] = async ({ name }, context) => {
    await this.#enter('getJob', context);
    return this.job(name);
  };

  listJobs: Handlers<typeof JobService, CallContext>['listJobs'] = async (
    { pageSize, pageToken, filter },
    context,
  ) => {
    await this.#enter('listJobs', context);
    const state = /^state = (\w+)$/.exec(filter)?.[1];
    const all = [...this.jobs.values()]
      .map(({ init }) => init)
      .reverse()
      .filter(({ state: own = 0 }) => state === undefined || State[own] === state);
    return pageOf(all, { key: 'jobs', pageSize: pageSize || 50, pageToken });
  };

  cancelJob: Handlers<typeof JobService, CallContext>['cancelJob'] = async ({ name }, context) => {
    await this.#enter('cancelJob', context);
    if (this.job(name).state === State.SUCCEEDED)
      throw new RpcError('FAILED_PRECONDITION', `${name} has succeeded`);
    this.emit(
      name,
      { case: 'stateChanged', value: { state: State.CANCELLING } },
      { case: 'stateChanged', value: { state: State.CANCELLED } },
    );
    return this.job(name);
  };

  deleteJob: Handlers<typeof JobService, CallContext>['deleteJob'] = async (
    { name, allowMissing },
    context,
  ) => {
    await this.#enter('deleteJob', context);
    if (allowMissing && !this.jobs.has(name)) return {};
    if (!finalStates.includes(this.job(name).state ?? State.QUEUED))
      throw new RpcError('FAILED_PRECONDITION', `${name} is not over`, { reason: 'JOB_NOT_OVER' });
    this.jobs.delete(name);
    return {};
  };

  watchJob: Handlers<typeof JobService, CallContext>['watchJob'] = (
    { name, afterSequence },
    context,
  ) => {
    this.watchedAfter.push(Number(afterSequence));
    return this.#faulty('watchJob', context, (fault) =>
      this.#events(this.find(name), Number(afterSequence), { context, fault }),
    );
  };

  listArtifacts: Handlers<typeof JobService, CallContext>['listArtifacts'] = async (
    { parent, pageSize, pageToken },
    context,
  ) => {
    await this.#enter('listArtifacts', context);
    return pageOf(
      this.find(parent).artifacts.map(({ init }) => init),
      { key: 'artifacts', pageSize: pageSize || 3, pageToken },
    );
  };

  downloadArtifact: Handlers<typeof JobService, CallContext>['downloadArtifact'] = (
    { name, offsetBytes },
    context,
  ) => {
    this.downloadOffsets.push(Number(offsetBytes));
    const found = this.find(at(name.split('/artifacts/'), 0)).artifacts.find(
      ({ init }) => init.name === name,
    );
    if (!found) throw new RpcError('NOT_FOUND', `no ${name}`);
    return this.#faulty('downloadArtifact', context, (fault) =>
      partsOf(found.bytes, Number(offsetBytes), fault),
    );
  };

  uploadDataset: Handlers<typeof JobService, CallContext>['uploadDataset'] = async (
    requests,
    context,
  ) => {
    const fault = await this.#enter('uploadDataset', context);
    const { upload, bytes } = await this.#receive(requests, fault);
    const sha256 = sha256Of(bytes);
    if (sha256 !== upload.sha256 || BigInt(bytes.length) !== upload.sizeBytes)
      throw new RpcError('INVALID_ARGUMENT', 'size or hash are not as announced');
    const init = {
      name: `datasets/${sha256.slice(0, 12)}`,
      displayName: upload.displayName,
      sizeBytes: upload.sizeBytes,
      sha256,
      createTime: timestampFromDate(new Date(0)),
    };
    this.datasets.set(init.name, { init, bytes });
    return init;
  };

  planJob: Handlers<typeof JobService, CallContext>['planJob'] = async ({ options }, context) => {
    await this.#enter('planJob', context);
    if (!options) throw new RpcError('INVALID_ARGUMENT', 'options is required');
    return this.plan;
  };

  async #enter(method: MethodName, { signal }: CallContext): Promise<Fault> {
    this.counts[method] = (this.counts[method] ?? 0) + 1;
    const fault = this.faults.take(method);
    if (fault.kind === 'fail') throw fault.error;
    if (fault.kind === 'hang') await aborted(signal);
    return fault;
  }

  async *#faulty<T>(
    method: MethodName,
    context: CallContext,
    messages: (fault: Fault) => AsyncIterable<T>,
  ): AsyncGenerator<T> {
    const fault = await this.#enter(method, context);
    const before = this.connection.passed();
    let [sent, bytes] = [0, 0];
    const isOver = async (): Promise<boolean> => {
      if (fault.kind === 'cutAfter' && sent >= fault.messages)
        await until(() => this.connection.passed() >= before + bytes, 'what was sent has arrived');
      return this.#isOver(fault, sent);
    };
    for await (const message of messages(fault)) {
      if (await isOver()) return;
      sent += 1;
      bytes += payloadBytes(message);
      yield message;
    }
    await isOver();
  }

  #isOver(fault: Fault, sent: number): boolean {
    if (!('messages' in fault) || sent < fault.messages) return false;
    if (fault.kind === 'failAfter') throw fault.error;
    if (fault.kind === 'cutAfter') this.connection.cut();
    return true;
  }

  async *#events(
    job: FakeJob,
    after: number,
    { context, fault }: { context: CallContext; fault: Fault },
  ): AsyncGenerator<EventInit> {
    const skipped = fault.kind === 'skip' ? fault.sequence : null;
    if (after >= job.events.length && job.events.some(isFinal)) return;
    const from = fault.kind === 'repeat' ? Math.max(0, after - fault.events) : after;
    const ending = AbortSignal.any([context.signal, context.draining]);
    for await (const event of this.follow(job, from, ending))
      if (Number(event.sequence) !== skipped) yield event;
  }

  async #receive(
    requests: AsyncIterable<UploadDatasetRequest>,
    fault: Fault,
  ): Promise<{
    upload: { displayName: string; sizeBytes: bigint; sha256: string };
    bytes: Buffer;
  }> {
    let upload: { displayName: string; sizeBytes: bigint; sha256: string } | null = null;
    const parts: Uint8Array[] = [];
    for await (const { content } of requests) {
      if (content.case === 'upload') upload = content.value;
      else if (content.case === 'data') parts.push(content.value);
      if (this.#isOver(fault, parts.length + 1))
        throw new RpcError('CANCELLED', 'the connection is gone');
    }
    if (!upload) throw new RpcError('INVALID_ARGUMENT', 'nothing was announced');
    return { upload, bytes: Buffer.concat(parts) };
  }
}

/** Bytes of an artifact in a message, which is longer than they are. */
function payloadBytes(message: unknown): number {
  return (message as { readonly data?: Uint8Array }).data?.length ?? 0;
}

/** @throws the signal's reason, when it aborts */
async function aborted(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
}

async function* partsOf(
  bytes: Uint8Array,
  offset: number,
  fault: Fault,
): AsyncGenerator<MessageInitShape<typeof DownloadArtifactResponseSchema>> {
  if (offset > bytes.length) throw new RpcError('OUT_OF_RANGE', `it has ${bytes.length} bytes`);
  for (let start = offset; start < bytes.length; start += partBytes) {
    const data = Uint8Array.from(bytes.subarray(start, start + partBytes));
    if (fault.kind === 'flipBit' && start === offset) data[0] = at(data, 0) ^ 1;
    yield { offsetBytes: BigInt(fault.kind === 'misplace' ? start + 1 : start), data };
  }
}

function pageOf<K extends string, T>(
  all: readonly T[],
  { key, pageSize, pageToken }: { key: K; pageSize: number; pageToken: string },
): Record<K, T[]> & { nextPageToken: string } {
  const start = Number(pageToken || 0);
  const end = start + pageSize;
  return {
    [key]: all.slice(start, end),
    nextPageToken: end < all.length ? `${end}` : '',
  } as Record<K, T[]> & { nextPageToken: string };
}
