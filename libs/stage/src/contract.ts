import type { JobEvent, TuneOptions } from '@emloc/pipeline';
import type { WorkerContract } from '@emloc/service/worker';
import type { MemorySample, PagerTotals } from '@emloc/telemetry';

/** What every task of an engine thread is told. Paths are those of this machine. */
export interface EngineTask {
  /** Identifier of the job; two tasks of one job have the same options. */
  readonly job: string;
  readonly options: TuneOptions;
  /** As `--device` and `--threads` of `emloc tune`. */
  readonly device: string;
  readonly threads: number | undefined;
  /** A folder for files of this task alone. */
  readonly scratch: string;
}

/** What an engine thread tells while it works. */
export type EngineEvent =
  | JobEvent
  | {
      readonly type: 'progress';
      readonly stage: 'merge';
      readonly task: string;
      readonly done: number;
      readonly total: number;
    }
  | { readonly type: 'memory'; readonly sample: MemorySample }
  /** The card that the task is on, by everybody who uses it. */
  | {
      readonly type: 'card';
      readonly ordinal: number;
      readonly usedBytes: number;
      readonly totalBytes: number;
    }
  /** `pager` numbers the pagers of the thread. */
  | { readonly type: 'pager'; readonly pager: number; readonly totals: PagerTotals };

/** Asks for device memory; answered with null when it is granted, until the task ends. */
export interface DeviceMemoryRequest {
  readonly type: 'device';
  /** Name of the device among those of all machines. */
  readonly device: string;
  readonly bytes: number;
  readonly totalBytes: number;
  readonly leave: LeftMemory | undefined;
}

/**
 * Asks for the hash of an input that the first process of the job has found; this one is kept where
 * none was there.
 */
export interface InputHashRequest {
  readonly type: 'input';
  readonly name: string;
  readonly hash: string;
}

/** What is asked by every engine, and answered by the runtime. */
export type RuntimeRequest = DeviceMemoryRequest | InputHashRequest;

/**
 * Device memory that must stay free for another stage of the job until that is finished, whether or
 * not it is running now.
 */
export interface LeftMemory {
  readonly stage: 'calibrate';
  readonly bytes: number;
}

/** A block with its path in the model, by which errors name it. */
export interface NamedBlock {
  readonly block: number;
  readonly layer: string;
}

/** What the contracts of all engine threads have in common. */
export interface AnyEngineContract extends WorkerContract {
  readonly task: EngineTask;
  readonly event: EngineEvent;
  readonly request: { readonly type: string };
}

/** The contract of a stage's engine thread. */
export interface EngineContract<
  Task,
  Request extends { readonly type: string },
  Response,
  Result,
> extends AnyEngineContract {
  readonly task: EngineTask & Task;
  readonly event: EngineEvent;
  readonly request: RuntimeRequest | Request;
  readonly response: Response | null;
  readonly result: Result;
}

/** What a stage took, as its thread measured it. */
export interface EngineReport {
  readonly seconds: number;
  readonly peakDeviceBytes: number;
  /** Description of the device: with it, equal inputs give equal bytes. */
  readonly device: string;
}

/** What a stage says of a task; the rest is said by its frame. */
export type OwnTask<Task> = Task extends unknown ? Omit<Task, keyof EngineTask> : never;
