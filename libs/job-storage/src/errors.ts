export type JobStorageErrorCode =
  | 'STAGE_STALE_FENCING_TOKEN'
  | 'JOB_DATASET_INVALID'
  | 'JOB_SPEC_MISSING'
  | 'LAYER_MISSING'
  | 'DEVICE_GRANT_LOST'
  | 'DEVICE_GRANT_TOO_LARGE';

/** What the shared storage of jobs refuses; the message names job, stage, value and limit. */
export class JobStorageError extends Error {
  override readonly name = 'JobStorageError';

  constructor(
    readonly code: JobStorageErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
