import { firstError } from '@emloc/checked';

import type { RpcCode } from './codes.js';
import { RpcError } from './errors.js';

/**
 * What a service answers when an engine, pipeline or kit error with this code ends a call: every
 * code that a stage can throw, defects included.
 */
export const codesByEngineCode: Readonly<Record<string, RpcCode>> = Object.freeze({
  CHECKPOINT_ADAPTER_INVALID: 'INVALID_ARGUMENT',
  CHECKPOINT_ADAPTER_MISMATCH: 'INVALID_ARGUMENT',
  CHECKPOINT_ADAPTER_UNSUPPORTED: 'INVALID_ARGUMENT',
  CHECKPOINT_DISK_FULL: 'RESOURCE_EXHAUSTED',
  CHECKPOINT_INVALID_CONFIG: 'INVALID_ARGUMENT',
  CHECKPOINT_INVALID_FILE: 'INVALID_ARGUMENT',
  CHECKPOINT_LFS_POINTER: 'INVALID_ARGUMENT',
  CHECKPOINT_NOT_FINITE: 'INVALID_ARGUMENT',
  CHECKPOINT_INVALID_INDEX: 'INVALID_ARGUMENT',
  CHECKPOINT_INVALID_OPTION: 'INVALID_ARGUMENT',
  CHECKPOINT_IO_FAILED: 'UNAVAILABLE',
  CHECKPOINT_NOT_FOUND: 'NOT_FOUND',
  CHECKPOINT_OUTPUT_BUSY: 'FAILED_PRECONDITION',
  CHECKPOINT_OUTPUT_EXISTS: 'ALREADY_EXISTS',
  CHECKPOINT_OUTPUT_UNWRITABLE: 'FAILED_PRECONDITION',
  CHECKPOINT_TENSOR_MISMATCH: 'INVALID_ARGUMENT',
  CHECKPOINT_UNUSED_LAYERS: 'INVALID_ARGUMENT',
  CHECKPOINT_TENSOR_MISSING: 'INVALID_ARGUMENT',
  CHECKPOINT_UNSUPPORTED_FORMAT: 'INVALID_ARGUMENT',
  CHECKPOINT_VALUE_OUT_OF_RANGE: 'INVALID_ARGUMENT',
  CHECKPOINT_VERIFICATION_FAILED: 'DATA_LOSS',
  DATASET_EMPTY: 'INVALID_ARGUMENT',
  DATASET_INVALID_OPTION: 'INVALID_ARGUMENT',
  DATASET_INVALID_PICTURES: 'INVALID_ARGUMENT',
  DATASET_INVALID_ROW: 'INVALID_ARGUMENT',
  DATASET_TEMPLATE_INVALID: 'INVALID_ARGUMENT',
  DATASET_TEXT_LOST: 'INVALID_ARGUMENT',
  DATASET_TOKENIZER_INVALID: 'INVALID_ARGUMENT',
  DATASET_TOO_SMALL: 'INVALID_ARGUMENT',
  DATASET_UNREADABLE: 'NOT_FOUND',
  DEVICE_GRANT_LOST: 'UNAVAILABLE',
  DEVICE_GRANT_TOO_LARGE: 'FAILED_PRECONDITION',
  DEVICE_INVALID_OPTION: 'FAILED_PRECONDITION',
  DEVICE_NATIVE_FAILURE: 'INTERNAL',
  DEVICE_OUT_OF_BUDGET: 'RESOURCE_EXHAUSTED',
  DEVICE_OUT_OF_MEMORY: 'RESOURCE_EXHAUSTED',
  DEVICE_SHAPE_MISMATCH: 'INTERNAL',
  DEVICE_UNAVAILABLE: 'UNAVAILABLE',
  DEVICE_UNKNOWN: 'FAILED_PRECONDITION',
  DEVICE_UNSUPPORTED: 'FAILED_PRECONDITION',
  DEVICE_USE_AFTER_DISPOSE: 'INTERNAL',
  DIFFUSION_INVALID_OPTION: 'INVALID_ARGUMENT',
  DIFFUSION_INVALID_SIZE: 'INVALID_ARGUMENT',
  EMULATOR_INVALID_RANK: 'INVALID_ARGUMENT',
  EMULATOR_INVALID_RATIO: 'INVALID_ARGUMENT',
  EMULATOR_INVALID_SCALE: 'INVALID_ARGUMENT',
  EMULATOR_NON_FINITE: 'FAILED_PRECONDITION',
  EMULATOR_SHAPE_MISMATCH: 'INTERNAL',
  EMULATOR_UNKNOWN_LAYER: 'INVALID_ARGUMENT',
  FINETUNE_INVALID_OPTION: 'INVALID_ARGUMENT',
  FINETUNE_INVALID_STATE: 'FAILED_PRECONDITION',
  FINETUNE_NON_FINITE: 'FAILED_PRECONDITION',
  FINETUNE_NO_TARGETS: 'INVALID_ARGUMENT',
  HUB_ACCESS_DENIED: 'FAILED_PRECONDITION',
  HUB_CACHE_FAILED: 'UNAVAILABLE',
  HUB_DISK_FULL: 'RESOURCE_EXHAUSTED',
  HUB_FILE_CORRUPT: 'DATA_LOSS',
  HUB_GATED: 'FAILED_PRECONDITION',
  HUB_INTERRUPTED: 'CANCELLED',
  HUB_NOT_CACHED: 'FAILED_PRECONDITION',
  HUB_NOT_FOUND: 'NOT_FOUND',
  HUB_OPTION_INVALID: 'INVALID_ARGUMENT',
  HUB_REFUSED: 'FAILED_PRECONDITION',
  HUB_RESPONSE_INVALID: 'FAILED_PRECONDITION',
  HUB_REVISION_NOT_FOUND: 'NOT_FOUND',
  HUB_UNREACHABLE: 'UNAVAILABLE',
  HUB_UNSUPPORTED_REPOSITORY: 'INVALID_ARGUMENT',
  IMAGE_DAMAGED: 'INVALID_ARGUMENT',
  IMAGE_DECODER_MISSING: 'FAILED_PRECONDITION',
  IMAGE_INVALID_OPTION: 'INVALID_ARGUMENT',
  IMAGE_POOL_CLOSED: 'CANCELLED',
  IMAGE_TOO_LARGE: 'INVALID_ARGUMENT',
  IMAGE_UNREADABLE: 'NOT_FOUND',
  IMAGE_UNSUPPORTED_FORMAT: 'INVALID_ARGUMENT',
  JOB_DATASET_INVALID: 'INVALID_ARGUMENT',
  JOB_SPEC_MISSING: 'NOT_FOUND',
  LAYER_GIVEN_UP: 'INTERNAL',
  LAYER_MISSING: 'FAILED_PRECONDITION',
  LEASE_LOST: 'ABORTED',
  MODEL_INVALID_CONFIG: 'INVALID_ARGUMENT',
  MODEL_TENSOR_MISMATCH: 'INVALID_ARGUMENT',
  MODEL_TENSOR_MISSING: 'INVALID_ARGUMENT',
  MODEL_UNUSED_LAYERS: 'INVALID_ARGUMENT',
  MODEL_UNKNOWN_ARCHITECTURE: 'INVALID_ARGUMENT',
  MODEL_UNSUPPORTED_CONFIG: 'INVALID_ARGUMENT',
  NATS_CLOSED: 'UNAVAILABLE',
  NATS_CONNECT_FAILED: 'UNAVAILABLE',
  OBJECT_CORRUPT: 'DATA_LOSS',
  OBJECT_NOT_FOUND: 'NOT_FOUND',
  OBJECT_OFFSET_OUT_OF_RANGE: 'OUT_OF_RANGE',
  OBJECT_STALLED: 'UNAVAILABLE',
  OBJECT_WRITE_FAILED: 'UNAVAILABLE',
  OPTION_INVALID: 'INVALID_ARGUMENT',
  PAGER_ABORTED: 'CANCELLED',
  PAGER_CLOSED: 'INTERNAL',
  PAGER_COPY_FAILED: 'INTERNAL',
  PAGER_INVALID_OPTIONS: 'INVALID_ARGUMENT',
  PAGER_OUT_OF_BUDGET: 'RESOURCE_EXHAUSTED',
  PAGER_OUT_OF_SCHEDULE: 'INTERNAL',
  PAGER_READ_FAILED: 'UNAVAILABLE',
  PAGER_UNKNOWN_LAYER: 'INTERNAL',
  PIPELINE_DISK_FULL: 'RESOURCE_EXHAUSTED',
  PIPELINE_DOES_NOT_FIT: 'FAILED_PRECONDITION',
  PIPELINE_INTERRUPTED: 'CANCELLED',
  PIPELINE_INVALID_OPTION: 'INVALID_ARGUMENT',
  PIPELINE_OUTPUT_BUSY: 'FAILED_PRECONDITION',
  PIPELINE_OUTPUT_EXISTS: 'ALREADY_EXISTS',
  PIPELINE_OUTPUT_UNWRITABLE: 'FAILED_PRECONDITION',
  PIPELINE_RECORD_INVALID: 'DATA_LOSS',
  PIPELINE_RESUME_MISMATCH: 'FAILED_PRECONDITION',
  PIPELINE_RESUME_NEEDED: 'FAILED_PRECONDITION',
  RECORD_CONFLICT: 'ABORTED',
  RECORD_EXISTS: 'ALREADY_EXISTS',
  RECORD_NOT_FOUND: 'NOT_FOUND',
  STAGE_STALE_FENCING_TOKEN: 'FAILED_PRECONDITION',
  STAGE_SUPERSEDED: 'ABORTED',
  STORAGE_FULL: 'RESOURCE_EXHAUSTED',
  STORAGE_UNAVAILABLE: 'UNAVAILABLE',
  TENSOR_BUS_ABORTED: 'ABORTED',
  TENSOR_BUS_CORRUPT: 'DATA_LOSS',
  TENSOR_BUS_STALLED: 'UNAVAILABLE',
  WORKER_CLOSED: 'UNAVAILABLE',
  WORKER_FAILED: 'UNAVAILABLE',
  WORK_STALE: 'ABORTED',
});

/**
 * UPPER_SNAKE_CASE of at least two words, as the codes of this product are; Node's own (`ENOENT`,
 * `ERR_...`) are not.
 */
const productCode = /^(?!ERR_)[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$/;

/**
 * Whatever was thrown, as what a caller may see. Errors of this product keep their message, which
 * names thing, value and limit, and their code as `reason`; of anything else the caller learns only
 * that it was internal.
 * @param metadata goes into the ErrorInfo: stage, layer, request id
 */
export function toRpcError(
  thrown: unknown,
  metadata: Readonly<Record<string, string>> = {},
): RpcError {
  const error = firstError(thrown);
  if (error instanceof RpcError) return withMetadata(error, metadata);
  const code = engineCodeOf(error);
  if (code !== null) {
    return new RpcError(codesByEngineCode[code] ?? 'INTERNAL', (error as Error).message, {
      reason: code,
      metadata: { ...metadata, ...detailOf(error) },
      cause: error,
    });
  }
  if (error instanceof Error && error.name === 'AbortError') {
    return new RpcError('CANCELLED', 'the call was cancelled', { metadata, cause: error });
  }
  return new RpcError(
    'INTERNAL',
    'internal error; the log of the service has it under the request id',
    { metadata, cause: error },
  );
}

/** Longest text of a row that goes with an error, in UTF-16 code units. */
const maxDetailLength = 2000;

/**
 * What the message leaves out because it may hold text of rows, for the caller alone: logs write
 * messages, not metadata.
 */
function detailOf(error: unknown): { readonly detail?: string } {
  const { message, messageForOwner } = error as { message: string; messageForOwner?: unknown };
  return typeof messageForOwner === 'string' && messageForOwner !== message
    ? { detail: messageForOwner.slice(0, maxDetailLength) }
    : {};
}

function engineCodeOf(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error)) return null;
  return typeof error.code === 'string' && productCode.test(error.code) ? error.code : null;
}

function withMetadata(error: RpcError, metadata: Readonly<Record<string, string>>): RpcError {
  if (Object.keys(metadata).every((key) => key in error.metadata)) return error;
  const { code, message, reason, domain, fieldViolations, retryDelayMs } = error;
  return new RpcError(code, message, {
    reason,
    domain,
    fieldViolations,
    retryDelayMs,
    metadata: { ...metadata, ...error.metadata },
    cause: error.cause ?? error,
  });
}
