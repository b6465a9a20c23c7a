import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  create,
  fromJson,
  toJson,
  type DescMessage,
  type JsonValue,
  type MessageShape,
} from '@bufbuild/protobuf';
import type { StageCall } from '@emloc/contracts';
import type { JobStorage } from '@emloc/job-storage';
import { RpcError, toRpcError, type CallContext } from '@emloc/rpc';
import type { MemorySample, Metrics, StageLabel } from '@emloc/telemetry';
import { Mailbox, type Clock } from '@emloc/time';

import {
  assertCall,
  event,
  layerOf,
  memoryUse,
  staleToken,
  type CheckedCall,
  type MemoryUse,
} from './call-messages.js';
import type { EngineThread } from './engine-thread.js';
import { orUnavailable } from './errors.js';
import { jobOptionsOf, type FetchOptions } from './job-options.js';
import { Slot, untilAbandoned } from './slot.js';
import type { StageAttempt, StageHandler } from './stage-attempt.js';
import { now, stageEventOf, stageNumbers, type StageEventInit } from './stage-events.js';
import { openStageMetrics, type StageMetrics } from './stage-metrics.js';
import { countedRecords, type TensorRecords } from './tensor-records.js';

export interface StageCallsOptions {
  readonly instance: string;
  readonly storage: JobStorage;
  readonly metrics: Metrics;
  readonly engine: EngineThread;
  readonly device: string;
  readonly threads: number | undefined;
  readonly scratch: string;
  /** Silence after which a caller is told that the stage is at work. */
  readonly heartbeatMs?: number;
  /**
   * How long an attempt that is to end keeps the engine from others while it does not end: longer
   * than its thread is given to stop.
   */
  readonly abandonMs?: number;
  readonly modelFolder: FetchOptions['modelFolder'];
  readonly clock?: Clock;
  /** Told of every attempt that failed. */
  readonly onError?: (
    error: unknown,
    attempt: { readonly job: string; readonly stage: StageLabel; readonly token: number },
  ) => void;
}

interface Response<Result extends DescMessage> {
  readonly content:
    | { readonly case: 'event'; readonly value: StageEventInit }
    | { readonly case: 'result'; readonly value: MessageShape<Result> };
}

interface Running {
  readonly token: number;
  readonly stop: AbortController;
}

const defaultAbandonMs = 60_000;

/**
 * Serves stage calls as proto/emloc/v1/stage.proto says. One attempt has the engine at a time;
 * others wait, with heartbeats.
 */
export class StageCalls {
  readonly #running = new Map<string, Running>();
  readonly #slot = new Slot();
  readonly #records: TensorRecords;

  constructor(private readonly options: StageCallsOptions) {
    this.#records = countedRecords(options.storage.tensors, options.metrics);
  }

  async *serve<Request extends { readonly call?: StageCall }, Result extends DescMessage>(
    handler: StageHandler<Request, Result>,
    request: Request,
    context: Pick<CallContext, 'signal' | 'draining'>,
  ): AsyncGenerator<Response<Result>> {
    const call = assertCall(request.call);
    const known = await this.#known(handler, call);
    yield event(
      now({
        case: 'accepted',
        value: { instance: this.options.instance, resumedFrom: BigInt(known.resumedFrom) },
      }),
    );
    if (known.result) return yield { content: { case: 'result', value: known.result } };
    const { heartbeatMs = 3000, clock } = this.options;
    const events = new Mailbox<StageEventInit>(clock);
    const stop = new AbortController();
    const signal = AbortSignal.any([context.signal, context.draining, stop.signal]);
    let memory: MemoryUse = { deviceBytesInUse: 0n, peakDeviceBytes: 0n };
    const attempt: AttemptCall = {
      call,
      signal,
      emit: (told) => events.put(told),
      sampled: (sample) => {
        memory = memoryUse(sample);
      },
    };
    const running = this.#attempt(handler, request, attempt).finally(() => events.close());
    running.catch(() => undefined);
    try {
      for (;;) {
        const next = await events.take(heartbeatMs);
        if (next.kind === 'closed') break;
        yield event(
          next.kind === 'silence'
            ? now({ case: 'heartbeat', value: { stage: stageNumbers[handler.stage], ...memory } })
            : next.item,
        );
      }
      yield { content: { case: 'result', value: await running } };
    } finally {
      stop.abort(new RpcError('CANCELLED', 'the call has ended'));
    }
  }

  /**
   * What earlier attempts left.
   * @throws RpcError STAGE_STALE_FENCING_TOKEN without waiting for the engine
   */
  async #known<Request, Result extends DescMessage>(
    handler: StageHandler<Request, Result>,
    { job, token }: CheckedCall,
  ): Promise<{ readonly result: MessageShape<Result> | null; readonly resumedFrom: number }> {
    const { stage } = handler;
    const { storage, instance } = this.options;
    try {
      const record = await storage.stages.read(job, stage);
      if (record && record.fence > token) throw staleToken(token, record.fence);
      if (record?.result)
        return { result: fromJson(handler.result, record.result as JsonValue), resumedFrom: 0 };
      return {
        result: null,
        resumedFrom: record
          ? ((await handler.resumedFrom?.({ job, instance, storage, record })) ?? 0)
          : 0,
      };
    } catch (error) {
      throw toRpcError(orUnavailable(error), { stage });
    }
  }

  /**
   * Supersedes an older attempt at the same stage of the same job, waits for the engine, and runs.
   */
  async #attempt<Request, Result extends DescMessage>(
    handler: StageHandler<Request, Result>,
    request: Request,
    call: AttemptCall,
  ): Promise<MessageShape<Result>> {
    const { job, token } = call.call;
    const { stage } = handler;
    const key = `${job}/${stage}`;
    const older = this.#running.get(key);
    if (older && older.token > token) throw staleToken(token, older.token);
    older?.stop.abort(
      new RpcError('ABORTED', `a newer attempt at ${stage} has begun`, {
        reason: 'STAGE_SUPERSEDED',
      }),
    );
    const own: Running = { token, stop: new AbortController() };
    this.#running.set(key, own);
    const signal = AbortSignal.any([call.signal, own.stop.signal]);
    try {
      const leave = await this.#slot.enter(signal);
      try {
        return await untilAbandoned(
          this.#run(handler, request, { ...call, signal }),
          signal,
          this.options.abandonMs ?? defaultAbandonMs,
          this.options.clock,
        );
      } finally {
        leave();
      }
    } catch (error) {
      const reason: unknown = signal.aborted ? signal.reason : orUnavailable(error);
      this.options.onError?.(reason, { job, stage, token });
      throw toRpcError(reason, { stage, ...layerOf(error) });
    } finally {
      if (this.#running.get(key) === own) this.#running.delete(key);
    }
  }

  async #run<Request, Result extends DescMessage>(
    handler: StageHandler<Request, Result>,
    request: Request,
    call: AttemptCall,
  ): Promise<MessageShape<Result>> {
    const { storage } = this.options;
    const { job, token, spec: reference } = call.call;
    const record = await storage.stages.claim(job, handler.stage, token);
    if (record.result) return fromJson(handler.result, record.result as JsonValue);
    const spec = await storage.readSpec(reference);
    const scratch = join(this.options.scratch, crypto.randomUUID());
    await mkdir(scratch, { recursive: true });
    const metrics = openStageMetrics(this.options.metrics, handler.stage);
    try {
      const options = await jobOptionsOf(spec, storage, {
        folder: scratch,
        signal: call.signal,
        modelFolder: this.options.modelFolder,
      });
      const result = create(
        handler.result,
        await handler.run(
          this.#view(handler.stage, { call, spec, options, record, scratch, metrics }),
          request,
        ),
      );
      await storage.stages.write(job, handler.stage, token, {
        result: toJson(handler.result, result),
      });
      metrics.finish('succeeded');
      return result;
    } catch (error) {
      metrics.finish(call.signal.aborted ? 'cancelled' : 'failed');
      throw error;
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }

  #view(stage: StageLabel, { call, metrics, ...known }: AttemptParts): StageAttempt {
    const { storage, instance, engine, device, threads } = this.options;
    const { job, token } = call.call;
    const { signal } = call;
    return {
      ...known,
      job,
      token,
      instance,
      storage,
      signal,
      records: this.#records,
      emit: (content) => call.emit(now(content)),
      write: (change) => storage.stages.write(job, stage, token, change),
      runEngine: (task, onRequest, onEvent) =>
        engine.run({
          job,
          stage,
          signal,
          onRequest,
          task: { ...task, job, options: known.options, device, threads, scratch: known.scratch },
          onEvent: (told) => {
            metrics.observe(told);
            onEvent?.(told);
            if (told.type === 'memory') call.sampled(told.sample);
            const message = stageEventOf(told);
            if (message) call.emit(message);
          },
        }),
    };
  }
}

interface AttemptCall {
  readonly call: CheckedCall;
  readonly signal: AbortSignal;
  emit(event: StageEventInit): void;
  sampled(sample: MemorySample): void;
}

interface AttemptParts extends Pick<StageAttempt, 'spec' | 'options' | 'record' | 'scratch'> {
  readonly call: AttemptCall;
  readonly metrics: StageMetrics;
}
