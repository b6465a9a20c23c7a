/**
 * Codes of everything the service kit refuses or gives up on; `docs/reference/errors.md` explains
 * each.
 */
export type ServiceKitErrorCode = 'OPTION_INVALID' | 'WORKER_FAILED' | 'WORKER_CLOSED';

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
