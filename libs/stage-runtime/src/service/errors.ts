export type StageErrorCode = 'LAYER_GIVEN_UP';

/** What ends a stage beside the errors of its engine and of its storage. */
export class StageError extends Error {
  override readonly name = 'StageError';

  constructor(
    readonly code: StageErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
