/** Codes of everything the emulator library refuses. */
export type EmulatorErrorCode =
  | 'EMULATOR_INVALID_RATIO'
  | 'EMULATOR_INVALID_RANK'
  | 'EMULATOR_INVALID_SCALE'
  | 'EMULATOR_UNKNOWN_LAYER'
  | 'EMULATOR_SHAPE_MISMATCH'
  | 'EMULATOR_NON_FINITE';

/**
 * The one error type of calibration, factorisation and correction. `message` names the thing, the
 * value and the limit.
 */
export class EmulatorError extends Error {
  override readonly name = 'EmulatorError';

  constructor(
    readonly code: EmulatorErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
