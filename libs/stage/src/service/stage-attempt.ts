import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import type { JobSpec } from '@emloc/contracts';
import type { JobStorage, StageRecord } from '@emloc/job-storage';
import type { TuneOptions } from '@emloc/pipeline';
import type { Moved } from '@emloc/service/worker';
import type { StageLabel } from '@emloc/telemetry';

import type { AnyEngineContract, EngineEvent, OwnTask, RuntimeRequest } from '../contract.js';
import type { StageEventInit } from './stage-events.js';
import type { TensorRecords } from './tensor-records.js';

/** One attempt at a stage of a job, as the code of that stage sees it. */
export interface StageAttempt {
  /** Identifier of the job, without `jobs/`. */
  readonly job: string;
  readonly token: number;
  readonly instance: string;
  readonly spec: JobSpec;
  readonly options: TuneOptions;
  /** What earlier attempts left. */
  readonly record: StageRecord;
  readonly storage: JobStorage;
  readonly records: TensorRecords;
  /** A folder of this attempt's own, removed at its end. */
  readonly scratch: string;
  /** Aborts when the attempt is to end, with why as its reason. */
  readonly signal: AbortSignal;
  emit(event: NonNullable<StageEventInit['event']>): void;
  /**
   * Changes the stage's record.
   * @throws JobStorageError STAGE_STALE_FENCING_TOKEN when a newer attempt has begun
   */
  write(change: Partial<Omit<StageRecord, 'fence'>>): Promise<void>;
  /** Runs the stage's engine; what it tells goes to the caller, into metrics and to `onEvent`. */
  runEngine<C extends AnyEngineContract>(
    task: OwnTask<C['task']>,
    onRequest: (
      request: Exclude<C['request'], RuntimeRequest>,
      signal: AbortSignal,
    ) => Promise<C['response'] | Moved<C['response']>>,
    onEvent?: (event: EngineEvent) => void,
  ): Promise<C['result']>;
}

/** How a stage is run. */
export interface StageHandler<Request, Result extends DescMessage> {
  readonly stage: StageLabel;
  readonly result: Result;
  /** Work found stored from earlier attempts, in the unit of the stage's first progress. */
  resumedFrom?(
    known: Pick<StageAttempt, 'job' | 'instance' | 'storage' | 'record'>,
  ): Promise<number>;
  run(attempt: StageAttempt, request: Request): Promise<MessageInitShape<Result>>;
}
