/**
 * Codes of everything that the frame of a service refuses or gives up on;
 * `docs/errors.md` explains each.
 */
export type ServiceErrorCode = 'OPTION_INVALID' | 'WORKER_FAILED' | 'WORKER_CLOSED';

/**
 * The one error type of a service's frame. `message` names the thing, the value and the limit,
 * never a secret.
 */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';

  constructor(
    readonly code: ServiceErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Whether something thrown is a ServiceError, of this code when one is given. */
export function isServiceError(error: unknown, code?: ServiceErrorCode): error is ServiceError {
  return error instanceof ServiceError && (code === undefined || error.code === code);
}
