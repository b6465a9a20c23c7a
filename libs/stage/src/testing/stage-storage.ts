import { tmpdir } from 'node:os';
import { create } from '@bufbuild/protobuf';
import { JobSpecSchema } from '@emloc/contracts';
import type { JobStorage, JobStorageOptions } from '@emloc/job-storage';
import { startStorage, type StorageHarness } from '@emloc/job-storage/testing';
import { openWorkQueue } from '@emloc/nats';
import { defaultTuneOptions } from '@emloc/pipeline';
import type { Moved } from '@emloc/service/worker';
import { createTelemetry } from '@emloc/telemetry';

import type { AnyEngineContract } from '../contract.js';
import type { StageAttempt } from '../service/stage-attempt.js';
import { countedRecords } from '../service/tensor-records.js';

/**
 * Stands for an engine: does a task by asking what an engine would ask. Answers come as values,
 * whether or not they were moved.
 */
export type FakeEngine = (
  task: unknown,
  ask: (request: unknown) => Promise<unknown>,
) => Promise<unknown>;

/**
 * A NATS server in a folder of its own, the storage of jobs in it, and attempts at stages without
 * an engine.
 */
export interface StageStorage {
  readonly storage: JobStorage;
  attempt(job: string, instance: string, engine: FakeEngine): StageAttempt;
  /** The same of a process that stands still: it does not say that it is at work on what it has. */
  silentAttempt(job: string, instance: string, engine: FakeEngine): StageAttempt;
  stop(): Promise<void>;
}

export async function startStageStorage(
  options: Omit<JobStorageOptions, 'nats' | 'lane'> = {},
): Promise<StageStorage> {
  const harness = await startStorage(options);
  const { storage } = harness;
  const telemetry = createTelemetry({ service: 'test', version: 'test' });
  const attemptOn =
    (used: JobStorage): StageStorage['attempt'] =>
    (job, instance, engine) => ({
      job,
      instance,
      storage: used,
      token: 1,
      scratch: tmpdir(),
      spec: create(JobSpecSchema),
      options: { ...defaultTuneOptions, model: '', data: '', out: '' },
      record: { fence: 1, checkpoint: null, result: null },
      records: countedRecords(storage.tensors, telemetry.metrics),
      signal: new AbortController().signal,
      emit: () => undefined,
      write: () => Promise.resolve(),
      runEngine: (task, onRequest) => {
        const ask = async (request: unknown): Promise<unknown> =>
          valueOf(await onRequest(request as never, new AbortController().signal));
        return engine(task, ask) as Promise<AnyEngineContract['result']>;
      },
    });
  return {
    storage,
    attempt: attemptOn(storage),
    silentAttempt: attemptOn(silentStorage(harness, options)),
    stop: async () => {
      telemetry.close();
      await harness.stop();
    },
  };
}

/** Storage whose queues hear nothing from the worker that has an item. */
function silentStorage(
  { nats, storage }: StorageHarness,
  { layerAckWaitMs: ackWaitMs }: Pick<JobStorageOptions, 'layerAckWaitMs'>,
): JobStorage {
  const queue = <W, R>(name: string, owner: string): ReturnType<typeof openWorkQueue<W, R>> =>
    openWorkQueue<W, R>({ nats, name, owner, ackWaitMs, heartbeatMs: 2 ** 30, maxAttempts: 20 });
  const openLayers: JobStorage['openLayers'] = (job, owner) => queue(`layers-${job}`, owner);
  const openCorrections: JobStorage['openCorrections'] = (job, owner) =>
    queue(`corrections-${job}`, owner);
  return Object.create(storage, {
    openLayers: { value: openLayers },
    openCorrections: { value: openCorrections },
  }) as JobStorage;
}

function valueOf(answer: unknown): unknown {
  const isMoved = typeof answer === 'object' && answer !== null && 'transfer' in answer;
  return isMoved ? (answer as Moved<unknown>).value : answer;
}
