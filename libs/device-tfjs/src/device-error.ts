import { DeviceError } from '@emloc/device';

/** What TensorFlow and JavaScript say when memory runs out. */
const outOfMemory =
  /\bOOM\b|RESOURCE_EXHAUSTED|out of memory|Array buffer allocation failed|Invalid typed array length/i;

/** A failure of TensorFlow.js as a device's. */
export function deviceErrorOf(action: string, cause: unknown): DeviceError {
  if (cause instanceof DeviceError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return new DeviceError(
    outOfMemory.test(message) ? 'DEVICE_OUT_OF_MEMORY' : 'DEVICE_NATIVE_FAILURE',
    `tfjs device: ${action}: ${message}`,
    { cause },
  );
}
