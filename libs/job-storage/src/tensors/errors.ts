/** Codes of tensors that could not be stored or read; `docs/errors.md` explains each. */
export type TensorBusErrorCode = 'TENSOR_BUS_STALLED' | 'TENSOR_BUS_ABORTED' | 'TENSOR_BUS_CORRUPT';

/** The one error type of tensors between stages. `message` names key, value and limit. */
export class TensorBusError extends Error {
  override readonly name = 'TensorBusError';

  constructor(
    readonly code: TensorBusErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
