import { isRpcError, type FieldViolation, type RpcCode, type RpcError } from '@emloc/rpc';

import { stageNameOf, type StageName } from './stages.js';

/**
 * Codes of what the client itself refuses or gives up on; `docs/errors.md` explains each.
 */
export type SdkErrorCode =
  | 'SDK_OPTION_INVALID'
  | 'SDK_CLOSED'
  | 'SDK_JOB_FAILED'
  | 'SDK_JOB_CANCELLED'
  | 'SDK_JOB_UNFINISHED'
  | 'SDK_EVENTS_LOST'
  | 'SDK_ARTIFACT_MISSING'
  | 'SDK_PATH_UNSAFE'
  | 'SDK_OUTPUT_EXISTS'
  | 'SDK_DOWNLOAD_CORRUPT'
  | 'SDK_FILE_FAILED'
  | 'SDK_FILE_CHANGED';

/** What went wrong in a job or a stage, as plain values. */
export interface Failure {
  /** gRPC's name for the kind of failure. */
  readonly code: RpcCode;
  /** The fixed code of `docs/errors.md` where there is one, else `code`. */
  readonly reason: string;
  /** Names the thing, the value and the limit. */
  readonly message: string;
  readonly stage: StageName | null;
  readonly layer: string | null;
}

/** What an error says to machines beside its code. */
interface Details {
  readonly reason: string;
  readonly stage: StageName | null;
  readonly layer: string | null;
  readonly requestId: string | null;
  readonly fieldViolations: readonly FieldViolation[];
}

/**
 * The one error type of this library. The message names stage and layer where they are known, and
 * the cause.
 */
export class EmlocError extends Error implements Details {
  override readonly name = 'EmlocError';
  readonly reason: string;
  readonly stage: StageName | null;
  readonly layer: string | null;
  /** Under which the logs of the services have the call. */
  readonly requestId: string | null;
  /** Every field of the request that breaks its rules. */
  readonly fieldViolations: readonly FieldViolation[];

  /**
   * @param code gRPC's status code for what the server or the connection says, `SDK_...` for what
   * the client says
   */
  constructor(
    readonly code: SdkErrorCode | RpcCode,
    message: string,
    {
      reason = code,
      stage = null,
      layer = null,
      requestId = null,
      fieldViolations = [],
      ...options
    }: Partial<Details> & ErrorOptions = {},
  ) {
    super(message, options);
    this.reason = reason;
    this.stage = stage;
    this.layer = layer;
    this.requestId = requestId;
    this.fieldViolations = fieldViolations;
  }
}

/** Whether something thrown is an EmlocError, with this code when one is given. */
export function isEmlocError(error: unknown, code?: EmlocError['code']): error is EmlocError {
  return error instanceof EmlocError && (code === undefined || error.code === code);
}

/**
 * What a call threw, as a caller of this library sees it. Errors of other kinds are defects and
 * stay as they are.
 */
export function toEmlocError(error: unknown): unknown {
  if (!isRpcError(error)) return error;
  const { code, reason, fieldViolations, metadata } = error;
  const { stage, layer } = toFailure(error);
  return new EmlocError(code, describeFailure(toFailure(error)), {
    reason,
    stage,
    layer,
    requestId: metadata['request_id'] ?? null,
    fieldViolations,
    cause: error,
  });
}

/**
 * The failure that an error of a call or a job's status stands for, with what of it may hold text
 * of rows, which services tell the job's owner alone.
 */
export function toFailure({ code, reason, message, metadata }: RpcError): Failure {
  return {
    code,
    reason,
    message: metadata['detail'] ?? message,
    stage: stageNameOf(metadata['stage']),
    layer: metadata['layer'] ?? null,
  };
}

/** `stage train, layer 3: MESSAGE (REASON)` */
export function describeFailure({ code, reason, message, stage, layer }: Failure): string {
  const place = [stage && `stage ${stage}`, layer && `layer ${layer}`].filter(Boolean).join(', ');
  return `${place ? `${place}: ` : ''}${withoutPlace(message, { stage, layer })}${reason === code ? '' : ` (${reason})`}`;
}

/** Messages may begin with the place themselves: `train, layer 3: MESSAGE`. */
function withoutPlace(message: string, { stage, layer }: Pick<Failure, 'stage' | 'layer'>): string {
  const prefix = [`${stage}, layer ${layer}: `, `${stage}: `].find((candidate) =>
    message.startsWith(candidate),
  );
  return prefix === undefined ? message : message.slice(prefix.length);
}

/** A job that did not succeed, as an error. */
export function jobFailed(name: string, failure: Failure | null): EmlocError {
  if (!failure) return new EmlocError('SDK_JOB_FAILED', `${name} failed and does not say why`);
  const { reason, stage, layer } = failure;
  return new EmlocError('SDK_JOB_FAILED', `${name} failed: ${describeFailure(failure)}`, {
    reason,
    stage,
    layer,
  });
}

/** An error of the file system, with what was being done. */
export function fileFailed(what: string, cause: unknown): EmlocError {
  return new EmlocError('SDK_FILE_FAILED', `${what}: ${(cause as Error).message}`, { cause });
}
