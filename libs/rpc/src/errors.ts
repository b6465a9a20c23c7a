import type { RpcCode } from './codes.js';

/** The domain of every ErrorInfo that this product sends. */
const errorDomain = 'emloc';

/** A field of a request that breaks its rules. */
export interface FieldViolation {
  /** Path of the field, such as `options.learning_rate`. */
  readonly field: string;
  readonly description: string;
}

/** What an error says to machines beside its code. */
export interface RpcErrorDetails {
  /** UPPER_SNAKE_CASE; the engine's error code where there is one. */
  readonly reason: string;
  readonly domain: string;
  /** Names the stage, the layer and so on. No secrets, no data. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly fieldViolations: readonly FieldViolation[];
  /** When to try again; null: not said. */
  readonly retryDelayMs: number | null;
}

/** The one error type of calls, thrown by clients and understood by servers. */
export class RpcError extends Error implements RpcErrorDetails {
  override readonly name = 'RpcError';
  readonly reason: string;
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly fieldViolations: readonly FieldViolation[];
  readonly retryDelayMs: number | null;

  /** `reason` defaults to the code, `domain` to this product's. */
  constructor(
    readonly code: RpcCode,
    message: string,
    {
      reason = code,
      domain = errorDomain,
      metadata = {},
      fieldViolations = [],
      retryDelayMs = null,
      ...options
    }: Partial<RpcErrorDetails> & ErrorOptions = {},
  ) {
    super(message, options);
    this.reason = reason;
    this.domain = domain;
    this.metadata = metadata;
    this.fieldViolations = fieldViolations;
    this.retryDelayMs = retryDelayMs;
  }
}

/** Whether something thrown is an RpcError, with this code when one is given. */
export function isRpcError(error: unknown, code?: RpcCode): error is RpcError {
  return error instanceof RpcError && (code === undefined || error.code === code);
}

/** A request that breaks its rules, with every field that does. */
export function invalidRequest(fieldViolations: readonly FieldViolation[]): RpcError {
  const message = fieldViolations
    .map(({ field, description }) => `${field}: ${description}`)
    .join('; ');
  return new RpcError('INVALID_ARGUMENT', message, { reason: 'INVALID_REQUEST', fieldViolations });
}
