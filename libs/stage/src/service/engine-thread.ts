import type { DeviceGrant, JobStorage } from '@emloc/job-storage';
import { createWorkerHost, type Moved, type WorkerHost } from '@emloc/service/worker';
import { systemClock, type Timer } from '@emloc/time';

import type {
  AnyEngineContract,
  DeviceMemoryRequest,
  EngineEvent,
  InputHashRequest,
  RuntimeRequest,
} from '../contract.js';

/** A task of the engine's thread, and who answers what it asks. */
export interface EngineRun<C extends AnyEngineContract> {
  readonly job: string;
  readonly stage: string;
  readonly task: C['task'];
  readonly signal: AbortSignal;
  readonly onEvent: (event: EngineEvent) => void;
  readonly onRequest: (
    request: Exclude<C['request'], RuntimeRequest>,
    signal: AbortSignal,
  ) => Promise<C['response'] | Moved<C['response']>>;
}

export interface EngineThreadOptions {
  /** Program of the thread, which calls `serveEngine`. */
  readonly program: URL;
  readonly storage: Pick<JobStorage, 'devices' | 'inputs' | 'stages'>;
  /** Name of this process among the holders of device memory. */
  readonly holder: string;
  /** Name of the device for all processes that share it; undefined: as the engine names it. */
  readonly deviceName: string | undefined;
  /** How long a task may go on after it was asked to stop, before its thread is ended. */
  readonly stopMs: number;
}

/** The thread on which a stage's engine runs, with the device memory that it was granted. */
export class EngineThread {
  #host: WorkerHost<AnyEngineContract> | null = null;

  constructor(private readonly options: EngineThreadOptions) {}

  /** @throws what the engine threw, or the reason of the signal or of a lost grant */
  async run<C extends AnyEngineContract>({
    job,
    stage,
    task,
    signal,
    onEvent,
    onRequest,
  }: EngineRun<C>): Promise<C['result']> {
    const lost = new AbortController();
    const stop = AbortSignal.any([signal, lost.signal]);
    const granted: Promise<DeviceGrant>[] = [];
    const answer = async (
      request: C['request'],
      ended: AbortSignal,
    ): Promise<C['response'] | Moved<C['response']> | string> => {
      const asked = request as RuntimeRequest | Exclude<C['request'], RuntimeRequest>;
      if (isInputRequest(asked)) return this.options.storage.inputs.remember(job, asked);
      if (!isDeviceRequest(asked)) return onRequest(asked, AbortSignal.any([ended, stop]));
      const asking = this.#grant(asked, { job, stage, signal: AbortSignal.any([ended, stop]) });
      granted.push(asking);
      const grant = await asking;
      grant.lost.addEventListener('abort', () => lost.abort(grant.lost.reason), { once: true });
      return null;
    };
    try {
      const host = (this.#host ??= createWorkerHost<AnyEngineContract>(this.options.program));
      return await this.#orEnded(
        host.run(task, { signal: stop, onEvent, onRequest: answer as never }),
        stop,
      );
    } catch (error) {
      stop.throwIfAborted();
      throw error;
    } finally {
      // One that is granted when the task has ended already is given back too; one that cannot be
      // given back expires.
      for (const asking of granted)
        await asking.then((grant) => grant.release()).catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    const host = this.#host;
    this.#host = null;
    await host?.close();
  }

  #grant(
    { device, bytes, totalBytes, leave }: DeviceMemoryRequest,
    { job, stage, signal }: { job: string; stage: string; signal: AbortSignal },
  ): Promise<DeviceGrant> {
    const {
      storage: { devices, stages },
      holder,
      deviceName = device,
    } = this.options;
    const stageBytes = async (): Promise<number> => {
      const isOver = !leave || Boolean((await stages.read(job, leave.stage))?.result);
      return isOver ? totalBytes : totalBytes - leave.bytes;
    };
    return devices.acquire({
      device: deviceName,
      job,
      stage,
      holder,
      bytes,
      totalBytes,
      stageBytes,
      signal,
    });
  }

  /** A task that does not stop when it is asked to takes its thread with it. */
  async #orEnded<T>(running: Promise<T>, stop: AbortSignal): Promise<T> {
    let timer: Timer | undefined;
    const onAbort = (): void => {
      timer = systemClock.after(this.options.stopMs, () => void this.close());
    };
    stop.addEventListener('abort', onAbort, { once: true });
    try {
      return await running;
    } finally {
      timer?.end();
      stop.removeEventListener('abort', onAbort);
    }
  }
}

function isDeviceRequest(request: { readonly type: string }): request is DeviceMemoryRequest {
  return request.type === 'device';
}

function isInputRequest(request: { readonly type: string }): request is InputHashRequest {
  return request.type === 'input';
}
