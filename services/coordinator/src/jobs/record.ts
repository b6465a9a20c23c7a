import type { JsonValue } from '@bufbuild/protobuf';
import type { Fenced } from '@emloc/nats';
import type { StageLabel } from '@emloc/telemetry';

import type { ModelKind } from '../job-service/model.js';

export const jobStates = [
  'QUEUED',
  'RUNNING',
  'CANCELLING',
  'SUCCEEDED',
  'FAILED',
  'CANCELLED',
] as const;

export type JobState = (typeof jobStates)[number];

/** In the order of `emloc.v1.Stage`. */
export const stageNames = [
  'calibrate',
  'emulate',
  'train',
  'correct',
  'refine',
  'merge',
] as const satisfies readonly StageLabel[];

export type StageName = (typeof stageNames)[number];

/** Where a stage of a job stands. */
interface StageState {
  /** Starts so far. */
  readonly attempts: number;
  /** The attempt whose end was last told, before another was begun. */
  readonly retried?: number;
  /** The stage's result message as JSON; null: it has not finished. */
  readonly result: JsonValue;
}

/** A file that a job made, in the bucket of artifacts as `JOB/PATH`. */
export interface ArtifactRecord {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly createTime: string;
}

/** An event of a change of the record that may not be in the log yet. */
interface OutboxEvent {
  /** Number of the change, from 1. */
  readonly transition: number;
  /** A JobEvent as JSON, without its sequence. */
  readonly event: JsonValue;
}

/**
 * Everything that is known of a job; one record in the bucket of jobs, under `TENANT.JOB`. Messages
 * are kept in their JSON form, times in RFC 3339. A change of state and the event that tells of it
 * are written together, and the event is moved to the log afterwards.
 */
export interface JobRecord extends Fenced {
  readonly id: string;
  readonly tenant: string;
  /** SHA-256 of what the request that made it asked for. */
  readonly requestHash: string;
  readonly displayName: string;
  /** TuneOptions */
  readonly options: JsonValue;
  /** MergeOptions; null: no merged checkpoint. */
  readonly merge: JsonValue;
  /** Whether any layer is replaced by factors; without, the job is plain LoRA. */
  readonly isEmulated: boolean;
  /** Absent where an older version made the record. */
  readonly modelKind?: ModelKind;
  readonly spec: { readonly bucket: string; readonly key: string; readonly revision: number };
  readonly state: JobState;
  /** The stage furthest ahead. */
  readonly stage: StageName | null;
  /** google.rpc.Status */
  readonly error: JsonValue;
  /** TuneReport */
  readonly report: JsonValue;
  readonly createTime: string;
  readonly startTime: string | null;
  readonly endTime: string | null;
  readonly updateTime: string;
  readonly retries: number;
  /** Fencing token of the newest start of any stage. */
  readonly token: number;
  readonly stages: Readonly<Partial<Record<StageName, StageState>>>;
  readonly artifacts: readonly ArtifactRecord[];
  /** Set when the adapter's folder is among the artifacts. */
  readonly outcome: { readonly budgetBytes: number } | null;
  /** Changes so far that have an event. */
  readonly transitions: number;
  readonly outbox: readonly OutboxEvent[];
  /** Sequence of the newest event when the leader last wrote the record. */
  readonly lastEventSequence: number;
  /** Whether the job is over, with all its events in the log and its work discarded. */
  readonly settled: boolean;
  /**
   * When it was deleted: nobody sees it any more, and the leader removes what is stored of it.
   * Absent: it was not.
   */
  readonly deleteTime?: string;
}

export function isFinal(state: JobState): boolean {
  return state === 'SUCCEEDED' || state === 'FAILED' || state === 'CANCELLED';
}

/**
 * A tenant as a token of keys: other characters than letters, digits, `_` and `-` as `=XX` of their
 * UTF-8 bytes.
 */
export function tenantToken(tenant: string): string {
  return [...Buffer.from(tenant, 'utf8')]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[\w-]/.test(character)
        ? character
        : `=${byte.toString(16).padStart(2, '0').toUpperCase()}`;
    })
    .join('');
}

/** Key of a job's record. */
export function jobKey(tenant: string, id: string): string {
  return `${tenantToken(tenant)}.${id}`;
}

/** The job in the key of a record. */
export function idOfKey(key: string): string {
  return key.slice(key.lastIndexOf('.') + 1);
}
