import type { PlainTuneOptions } from '@emloc/contracts';

import type { Part } from './artifact-paths.js';
import type { OnTransfer } from './download.js';
import type { JobEvent, MergeDtype } from './values.js';

/** What every call takes. */
export interface CallOptions {
  /** Ends the call with an EmlocError of code CANCELLED, whose cause has the signal's reason. */
  readonly signal?: AbortSignal;
  /** Deadline of a call that is no stream, its repetitions included; default: the connection's. */
  readonly timeoutMs?: number;
}

/** What calls that go on over several connections take. */
export interface StreamOptions {
  readonly signal?: AbortSignal;
  /** Told whenever the connection broke and will be made again. */
  readonly onInterruption?: (error: Error) => void;
}

export interface CreateJobOptions {
  readonly options: PlainTuneOptions;
  /** For people; up to 63 characters. */
  readonly displayName?: string;
  /** Also make a merged checkpoint; `dtype` null or not given: that of the base model. */
  readonly merge?: { readonly dtype?: MergeDtype | null } | null;
  /**
   * A UUID version 4 under which repeating the call gives the same job; made here when not given.
   */
  readonly requestId?: string;
}

export interface ListJobsOptions extends CallOptions {
  /**
   * Comparisons joined by AND, such as `state = RUNNING AND create_time > "2026-01-01T00:00:00Z"`.
   */
  readonly filter?: string;
  /** Jobs in one answer of the server; 0: the server's choice. */
  readonly pageSize?: number;
}

export interface DeleteJobOptions extends CallOptions {
  /**
   * A job that is not there is no error, also where it is the answer to a deletion that was lost;
   * default: false.
   */
  readonly allowMissing?: boolean;
}

export interface WatchOptions extends StreamOptions {
  /** Sequence of the last event that is known; default 0: from the start. */
  readonly afterSequence?: number;
}

export interface WaitOptions extends WatchOptions {
  readonly onEvent?: (event: JobEvent) => void;
}

export interface DownloadOptions extends StreamOptions {
  /** Replace what is there. */
  readonly overwrite?: boolean;
  readonly onProgress?: OnTransfer;
}

export interface DownloadJobOptions extends DownloadOptions {
  /** Default: the adapter. */
  readonly part?: Part;
}

export interface UploadOptions extends StreamOptions {
  /** For people; default: the file's name. */
  readonly displayName?: string;
  readonly onProgress?: OnTransfer;
}
