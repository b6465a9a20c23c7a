export type ModelErrorCode =
  | 'MODEL_UNKNOWN_ARCHITECTURE'
  | 'MODEL_UNSUPPORTED_CONFIG'
  | 'MODEL_INVALID_CONFIG'
  | 'MODEL_TENSOR_MISSING'
  | 'MODEL_TENSOR_MISMATCH'
  | 'MODEL_UNUSED_LAYERS';

/**
 * A model folder that cannot be run as it is; the message names the key or tensor, its value and
 * what is supported.
 */
export class ModelError extends Error {
  override readonly name = 'ModelError';

  constructor(
    readonly code: ModelErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
