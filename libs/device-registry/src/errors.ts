/**
 * Codes of devices that are asked for in a way nobody understands; `docs/errors.md`
 * explains each.
 */
export type DeviceRegistryErrorCode = 'DEVICE_UNKNOWN' | 'DEVICE_INVALID_OPTION';

/**
 * A name or thread count that stands for no device; a device that is known and cannot be had is no
 * such error.
 */
export class DeviceRegistryError extends Error {
  override readonly name = 'DeviceRegistryError';

  constructor(
    readonly code: DeviceRegistryErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
