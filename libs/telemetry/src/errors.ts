export type TelemetryErrorCode = 'TELEMETRY_LISTEN_FAILED';

/** The one error type of telemetry. */
export class TelemetryError extends Error {
  override readonly name = 'TelemetryError';

  constructor(
    readonly code: TelemetryErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
