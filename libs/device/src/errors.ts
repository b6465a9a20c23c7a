/** Codes of everything a device refuses; `docs/errors.md` explains each. */
export type DeviceErrorCode =
  | 'DEVICE_OUT_OF_BUDGET'
  | 'DEVICE_OUT_OF_MEMORY'
  | 'DEVICE_UNAVAILABLE'
  | 'DEVICE_UNSUPPORTED'
  | 'DEVICE_SHAPE_MISMATCH'
  | 'DEVICE_USE_AFTER_DISPOSE'
  | 'DEVICE_NATIVE_FAILURE';

/** The one error type of devices. `message` names the thing, the value and the limit. */
export class DeviceError extends Error {
  override readonly name: string = 'DeviceError';

  constructor(
    readonly code: DeviceErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * A reservation that the memory budget cannot hold. The budget is unchanged when this is thrown.
 */
export class OutOfBudgetError extends DeviceError {
  override readonly name = 'OutOfBudgetError';

  constructor(
    readonly label: string,
    readonly requestedBytes: number,
    readonly freeBytes: number,
    readonly budgetBytes: number,
  ) {
    super(
      'DEVICE_OUT_OF_BUDGET',
      `device memory: ${label} needs ${formatBytes(requestedBytes)}, ` +
        `${formatBytes(freeBytes)} of the ${formatBytes(budgetBytes)} budget is free`,
    );
  }
}

/** Bytes as people read them: `512 B`, `1.50 MiB`, `14.45 GiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(2)} ${units[unit]}`;
}
