export type EmulatorBuilderErrorCode = 'LAYER_GIVEN_UP';

/** What ends the building of an emulator beside the engine's errors. */
export class EmulatorBuilderError extends Error {
  override readonly name = 'EmulatorBuilderError';

  constructor(
    readonly code: EmulatorBuilderErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
