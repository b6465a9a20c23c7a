export type ReportErrorCode = 'REPORT_SOURCE_INVALID' | 'REPORT_OUTPUT_EXISTS';

/** A report that cannot be made, or not be written. */
export class ReportError extends Error {
  override readonly name = 'ReportError';

  constructor(
    readonly code: ReportErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
