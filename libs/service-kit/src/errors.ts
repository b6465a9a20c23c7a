/** Codes of everything the service kit refuses or gives up on; `docs/errors.md` explains each. */
export type ServiceKitErrorCode =
  | 'NATS_SERVER_NOT_FOUND'
  | 'NATS_SERVER_FAILED'
  | 'NATS_CONNECT_FAILED'
  | 'NATS_CLOSED'
  | 'OBJECT_NOT_FOUND'
  | 'OBJECT_OFFSET_OUT_OF_RANGE'
  | 'OBJECT_CORRUPT'
  | 'OBJECT_STALLED'
  | 'OBJECT_WRITE_FAILED'
  | 'RECORD_CONFLICT'
  | 'RECORD_EXISTS'
  | 'RECORD_NOT_FOUND'
  | 'LEASE_LOST'
  | 'WORK_STALE'
  | 'OPTION_INVALID'
  | 'WORKER_FAILED'
  | 'WORKER_CLOSED';

/**
 * The one error type of the service kit. `message` names the thing, the value and the limit, never
 * a secret.
 */
export class ServiceKitError extends Error {
  override readonly name = 'ServiceKitError';

  constructor(
    readonly code: ServiceKitErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Whether something thrown is a ServiceKitError, of this code when one is given. */
export function isServiceKitError(
  error: unknown,
  code?: ServiceKitErrorCode,
): error is ServiceKitError {
  return error instanceof ServiceKitError && (code === undefined || error.code === code);
}
