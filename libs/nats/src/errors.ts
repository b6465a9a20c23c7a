/**
 * Codes of everything that is refused or given up here; `docs/errors.md` explains each.
 */
export type NatsErrorCode =
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
  | 'WORK_STALE';

/**
 * The one error type of what is kept in NATS. `message` names the thing, the value and the limit,
 * never a secret.
 */
export class NatsError extends Error {
  override readonly name = 'NatsError';

  constructor(
    readonly code: NatsErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Whether something thrown is a NatsError, of this code when one is given. */
export function isNatsError(error: unknown, code?: NatsErrorCode): error is NatsError {
  return error instanceof NatsError && (code === undefined || error.code === code);
}
