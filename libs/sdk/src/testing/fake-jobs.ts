import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  Job_State as State,
  type Artifact_Kind,
  type ArtifactSchema,
  type JobEventSchema,
  type JobSchema,
} from '@emloc/contracts';
import { RpcError, toStatus, type RpcCode } from '@emloc/rpc';

type JobInit = MessageInitShape<typeof JobSchema>;
export type EventInit = MessageInitShape<typeof JobEventSchema>;
type Event = NonNullable<EventInit['event']>;

/** A job, and the request that made it. */
export interface FakeJob {
  init: JobInit;
  readonly requestId: string;
  readonly events: EventInit[];
  readonly artifacts: {
    readonly init: MessageInitShape<typeof ArtifactSchema>;
    readonly bytes: Uint8Array;
  }[];
}

/** What a job fails with. */
export interface JobFailure {
  readonly code: RpcCode;
  readonly message: string;
  readonly reason: string;
  readonly stage: string;
  readonly layer: string;
}

export const finalStates: readonly State[] = [State.SUCCEEDED, State.FAILED, State.CANCELLED];

/** Jobs in memory that nothing runs: a test says what happens to them. */
export class FakeJobs {
  protected readonly jobs = new Map<string, FakeJob>();
  readonly #changes = new EventEmitter().setMaxListeners(0);

  /** A job that was there before. Returns its name. */
  addJob(init: JobInit = {}): string {
    return this.create(init, '');
  }

  /** Something happens to a job. */
  emit(name: string, ...events: readonly Event[]): void {
    const job = this.find(name);
    for (const event of events) {
      const sequence = BigInt(job.events.length + 1);
      job.events.push({
        sequence,
        time: timestampFromDate(new Date(1_700_000_000_000 + job.events.length)),
        event,
      });
      job.init = { ...job.init, lastEventSequence: sequence };
      if (event.case === 'stateChanged')
        job.init = { ...job.init, state: event.value.state, error: event.value.error } as JobInit;
    }
    this.#changes.emit('change');
  }

  /** A job fails as services let it fail. */
  fail(name: string, { code, message, reason, stage, layer }: JobFailure): void {
    const error = new RpcError(code, message, { reason, metadata: { stage, layer } });
    this.emit(name, {
      case: 'stateChanged',
      value: { state: State.FAILED, error: toStatus(error) },
    });
  }

  /** A job has made a file. `sha256` may be wrong, `path` evil. Returns its name. */
  addArtifact(
    name: string,
    path: string,
    {
      bytes,
      kind,
      sha256 = sha256Of(bytes),
    }: { bytes: Uint8Array; kind: Artifact_Kind; sha256?: string },
  ): string {
    const { artifacts } = this.find(name);
    const artifact = `${name}/artifacts/a${artifacts.length + 1}`;
    artifacts.push({
      init: {
        name: artifact,
        path,
        kind,
        sha256,
        sizeBytes: BigInt(bytes.length),
        createTime: timestampFromDate(new Date(0)),
      },
      bytes,
    });
    return artifact;
  }

  /** Jobs as they are, to look at. */
  job(name: string): JobInit {
    return this.find(name).init;
  }

  /** Sets what a job has besides its events. */
  update(name: string, init: JobInit): void {
    const job = this.find(name);
    job.init = { ...job.init, ...init } as JobInit;
  }

  protected create(init: JobInit, requestId: string): string {
    const name = `jobs/j${this.jobs.size + 1}`;
    this.jobs.set(name, {
      init: {
        state: State.QUEUED,
        createTime: timestampFromDate(new Date(1_700_000_000_000 + this.jobs.size)),
        ...init,
        name,
      },
      requestId,
      events: [],
      artifacts: [],
    });
    return name;
  }

  protected find(name: string): FakeJob {
    const job = this.jobs.get(name);
    if (!job) throw new RpcError('NOT_FOUND', `no ${name}`, { reason: 'RECORD_NOT_FOUND' });
    return job;
  }

  /**
   * Events of a job from one on, past ones first, then as they happen, up to the final one.
   * @param from index of the first
   */
  protected async *follow(
    { events }: FakeJob,
    from: number,
    signal: AbortSignal,
  ): AsyncGenerator<EventInit> {
    for (let index = from; ;) {
      for (const event = events[index]; event && event === events[index]; index += 1) {
        yield event;
        if (isFinal(event)) return;
      }
      if (index < events.length) continue;
      await once(this.#changes, 'change', { signal }).catch(() => {
        throw new RpcError('UNAVAILABLE', 'the server is closing', { reason: 'SERVER_CLOSING' });
      });
    }
  }
}

/** Lower-case hexadecimal. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function isFinal({ event }: EventInit): boolean {
  return (
    event?.case === 'stateChanged' && finalStates.includes(event.value.state ?? State.UNSPECIFIED)
  );
}
