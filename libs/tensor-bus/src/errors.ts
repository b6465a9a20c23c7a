/** Codes of everything the tensor bus refuses or gives up on; `docs/errors.md` explains each. */
export type TensorBusErrorCode =
  | 'TENSOR_BUS_NO_RECEIVER'
  | 'TENSOR_BUS_STALLED'
  | 'TENSOR_BUS_REJECTED'
  | 'TENSOR_BUS_ABORTED'
  | 'TENSOR_BUS_CORRUPT'
  | 'TENSOR_BUS_INVALID'
  | 'TENSOR_BUS_CLOSED';

/** The one error type of the bus. `message` names channel, layer, value and limit. */
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
