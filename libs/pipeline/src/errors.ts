export type PipelineErrorCode =
  | 'PIPELINE_INVALID_OPTION'
  | 'PIPELINE_DOES_NOT_FIT'
  | 'PIPELINE_CONTEXT_EXCEEDED'
  | 'PIPELINE_OUTPUT_EXISTS'
  | 'PIPELINE_OUTPUT_UNWRITABLE'
  | 'PIPELINE_DISK_FULL'
  | 'PIPELINE_RECORD_INVALID'
  | 'PIPELINE_INTERRUPTED'
  | 'PIPELINE_RESUME_NEEDED'
  | 'PIPELINE_RESUME_MISMATCH'
  | 'PIPELINE_OUTPUT_BUSY';

/**
 * What stops a job before or between its stages; the message names the option or stage, the value
 * and the limit.
 */
export class PipelineError extends Error {
  override readonly name = 'PipelineError';

  constructor(
    readonly code: PipelineErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
