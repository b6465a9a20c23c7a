/** Codes of everything the pager refuses. */
export type PagerErrorCode =
  | 'PAGER_OUT_OF_BUDGET'
  | 'PAGER_OUT_OF_SCHEDULE'
  | 'PAGER_UNKNOWN_LAYER'
  | 'PAGER_INVALID_OPTIONS'
  | 'PAGER_READ_FAILED'
  | 'PAGER_COPY_FAILED'
  | 'PAGER_ABORTED'
  | 'PAGER_CLOSED';

/** The one error type of the pager. `message` names the layer, the value and the limit. */
export class PagerError extends Error {
  override readonly name = 'PagerError';

  constructor(
    readonly code: PagerErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
