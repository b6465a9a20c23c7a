import { tmpdir } from 'node:os';
import { create } from '@bufbuild/protobuf';
import { JobSpecSchema } from '@emloc/contracts';
import type { JobStorage } from '@emloc/job-storage';
import { startStorage } from '@emloc/job-storage/testing';
import { defaultTuneOptions } from '@emloc/pipeline';
import type { Moved } from '@emloc/service-kit';
import { createTelemetry } from '@emloc/telemetry';
import type { AnyEngineContract } from '../contract.js';
import type { StageAttempt } from '../service/stage-calls.js';
import { countedRecords } from '../service/tensor-records.js';

/** Stands for an engine: does a task by asking what an engine would ask. Answers come as values, whether or not they were moved. */
export type FakeEngine = (task: unknown, ask: (request: unknown) => Promise<unknown>) => Promise<unknown>;

/** A NATS server in a folder of its own, the storage of jobs in it, and attempts at stages without an engine. */
export interface StageStorage {
  readonly storage: JobStorage;
  attempt(job: string, instance: string, engine: FakeEngine): StageAttempt;
  stop(): Promise<void>;
}

export async function startStageStorage(): Promise<StageStorage> {
  const harness = await startStorage();
  const { storage } = harness;
  const telemetry = createTelemetry({ service: 'test', version: 'test' });
  return {
    storage,
    attempt: (job, instance, engine) => ({
      job, instance, storage, token: 1, scratch: tmpdir(),
      spec: create(JobSpecSchema),
      options: { ...defaultTuneOptions, model: '', data: '', out: '' },
      record: { fence: 1, checkpoint: null, result: null },
      records: countedRecords(storage.tensors, telemetry.metrics),
      signal: new AbortController().signal,
      emit: () => undefined,
      write: () => Promise.resolve(),
      runEngine: (task, onRequest) => {
        const ask = async (request: unknown): Promise<unknown> => valueOf(await onRequest(request as never, new AbortController().signal));
        return engine(task, ask) as Promise<AnyEngineContract['result']>;
      },
    }),
    stop: async () => {
      telemetry.close();
      await harness.stop();
    },
  };
}

function valueOf(answer: unknown): unknown {
  const isMoved = typeof answer === 'object' && answer !== null && 'transfer' in answer;
  return isMoved ? (answer as Moved<unknown>).value : answer;
}
